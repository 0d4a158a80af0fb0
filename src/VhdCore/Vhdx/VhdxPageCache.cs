namespace VhdCore.Vhdx;

/// <summary>Table pages in memory, within a bound that does not depend on the disk's size. Pages are numbered; finding one takes no lock.</summary>
/// <param name="pageCount">Numbers run from 0 to below this.</param>
/// <param name="limit">Bytes of memory to keep to, the directory of pages included; one page is kept whatever it is.</param>
internal sealed class VhdxPageCache(long pageCount, long limit)
{
    private const int GroupSize = 256; // pages
    private const int GroupMemorySize = (GroupSize * sizeof(long)) + 64; // bytes

    private readonly VhdxTablePage?[]?[] _groups = new VhdxTablePage?[((pageCount - 1) / GroupSize) + 1][];
    private readonly Lock _lock = new();
    private long _memorySize;
    private long _version; // changes whenever a page that differed from the file may be dropped
    private int _hand; // group to look at next

    /// <summary>Bytes of memory taken now, roughly.</summary>
    public long MemorySize => Interlocked.Read(ref _memorySize);

    /// <summary>The page, if it is in memory.</summary>
    public VhdxTablePage? Find(long number)
    {
        var group = Volatile.Read(ref _groups[(ulong)number / GroupSize]);
        var page = group is null ? null : Volatile.Read(ref group[(ulong)number % GroupSize]);
        if (page is { WasUsed: false })
        {
            page.WasUsed = true;
        }

        return page;
    }

    /// <summary>To be read before a page is read from the file, for <see cref="TryAdd"/>.</summary>
    public long Version => Volatile.Read(ref _version);

    /// <summary>Keeps a page that has been read, unless somebody else kept it first, and drops others where the bound asks for it.</summary>
    /// <param name="number">The page's.</param>
    /// <param name="page">As it was read.</param>
    /// <param name="version"><see cref="Version"/> as it was before.</param>
    /// <returns>False if the page may have been changed, written and dropped since: what was read may be old.</returns>
    public bool TryAdd(long number, VhdxTablePage page, long version)
    {
        lock (_lock)
        {
            if (version != _version)
            {
                return false;
            }

            Put(number, page);
            return true;
        }
    }

    /// <summary>Lets pages go that stand in the file as they are in memory.</summary>
    public void Unpin(IEnumerable<VhdxTablePage> pages)
    {
        lock (_lock)
        {
            _version++;
            foreach (var page in pages)
            {
                page.IsPinned = false;
            }
        }
    }

    /// <summary>Keeps a page in memory until <see cref="Unpin"/>.</summary>
    /// <param name="number">The page's.</param>
    /// <param name="known">The page as it was found, under the lock that every change is made under: put back if it was dropped since.</param>
    /// <returns>The page that is in memory.</returns>
    public VhdxTablePage Pin(long number, VhdxTablePage known)
    {
        lock (_lock)
        {
            Put(number, known);
            var page = _groups[number / GroupSize]![number % GroupSize]!;
            page.IsPinned = true;
            return page;
        }
    }

    private void Put(long number, VhdxTablePage page)
    {
        ref var group = ref _groups[number / GroupSize];
        if (group?[number % GroupSize] is not null)
        {
            return;
        }

        MakeRoom(limit - VhdxTablePage.MemorySize - GroupMemorySize);
        if (group is null)
        {
            Volatile.Write(ref group, new VhdxTablePage?[GroupSize]);
            Interlocked.Add(ref _memorySize, GroupMemorySize);
        }

        page.WasUsed = true;
        Volatile.Write(ref group[number % GroupSize], page);
        Interlocked.Add(ref _memorySize, VhdxTablePage.MemorySize);
    }

    // A page that was used since the hand last passed is left for its next round.
    private void MakeRoom(long target)
    {
        var rounds = 2L * _groups.Length;
        for (var i = 0L; _memorySize > target && i <= rounds; i++)
        {
            if (_groups[_hand] is { } group && !EvictFrom(group, target))
            {
                // A reader that still has the group finds nothing in it and reads its page again.
                Volatile.Write(ref _groups[_hand], null);
                Interlocked.Add(ref _memorySize, -GroupMemorySize);
            }

            _hand = (_hand + 1) % _groups.Length;
        }
    }

    /// <summary>Drops pages of a group until the bound is met.</summary>
    /// <returns>Whether the group still holds one.</returns>
    private bool EvictFrom(VhdxTablePage?[] group, long target)
    {
        var holdsPages = false;
        for (var i = 0; i < group.Length; i++)
        {
            if (group[i] is not { } page)
            {
                continue;
            }

            if (_memorySize > target && !page.WasUsed && !page.IsPinned)
            {
                Volatile.Write(ref group[i], null);
                Interlocked.Add(ref _memorySize, -VhdxTablePage.MemorySize);
            }
            else
            {
                page.WasUsed = false;
                holdsPages = true;
            }
        }

        return holdsPages;
    }
}
