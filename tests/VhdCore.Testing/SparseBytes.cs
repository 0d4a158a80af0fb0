using VhdCore.Primitives;

namespace VhdCore.Testing;

/// <summary>Bytes of any length of which only written pages take memory. Not for several threads.</summary>
internal sealed class SparseBytes
{
    public const int PageSize = 4096; // bytes

    private readonly Dictionary<long, byte[]> _pages = [];
    private readonly SortedSet<long> _indexes = []; // the pages' keys, for finding the next one

    public long Length { get; private set; }

    /// <summary>The same bytes on their own.</summary>
    public SparseBytes Copy()
    {
        var copy = new SparseBytes { Length = Length };
        foreach (var (index, page) in _pages)
        {
            copy._pages.Add(index, (byte[])page.Clone());
            copy._indexes.Add(index);
        }

        return copy;
    }

    public long AllocatedBytes => (long)_pages.Count * PageSize;

    public void Read(long offset, BlockBuffers into, long start, long length)
    {
        while (length > 0)
        {
            var inPage = (int)(offset % PageSize);
            var span = into.SpanAt(start, Math.Min(length, PageSize - inPage));
            if (_pages.TryGetValue(offset / PageSize, out var page))
            {
                page.AsSpan(inPage, span.Length).CopyTo(span);
            }
            else
            {
                span.Clear();
            }

            offset += span.Length;
            start += span.Length;
            length -= span.Length;
        }
    }

    public void Write(long offset, BlockBuffers from, long start, long length)
    {
        Length = Math.Max(Length, offset + length);
        while (length > 0)
        {
            var inPage = (int)(offset % PageSize);
            var span = from.SpanAt(start, Math.Min(length, PageSize - inPage));
            if (!_pages.TryGetValue(offset / PageSize, out var page))
            {
                page = new byte[PageSize];
                _pages.Add(offset / PageSize, page);
                _indexes.Add(offset / PageSize);
            }

            span.CopyTo(page.AsSpan(inPage));
            offset += span.Length;
            start += span.Length;
            length -= span.Length;
        }
    }

    public void SetLength(long length)
    {
        if (length < Length)
        {
            Punch(length, Alignment.Up(Length, PageSize) - length);
        }

        Length = length;
    }

    public void Punch(long offset, long length)
    {
        var end = offset + length;
        while (offset < end)
        {
            var inPage = offset % PageSize;
            var run = Math.Min(end - offset, PageSize - inPage);
            var index = offset / PageSize;
            if (run < PageSize)
            {
                if (_pages.TryGetValue(index, out var page))
                {
                    page.AsSpan((int)inPage, (int)run).Clear();
                }
            }
            else if (_pages.Remove(index))
            {
                _indexes.Remove(index);
            }
            else
            {
                // Nothing here: on to the next page that holds something.
                var next = NextPage(index);
                run = Math.Min(end, next < 0 ? end : next * PageSize) - offset;
            }

            offset += run;
        }
    }

    /// <summary>The first run: a hole, or pages.</summary>
    public (bool IsHole, long Length) Map(long offset, long length)
    {
        var index = offset / PageSize;
        if (!_pages.ContainsKey(index))
        {
            var next = NextPage(index);
            return (true, next < 0 ? length : Math.Min(length, (next * PageSize) - offset));
        }

        var end = index + 1;
        while ((end * PageSize) - offset < length && _pages.ContainsKey(end))
        {
            end++;
        }

        return (false, Math.Min(length, (end * PageSize) - offset));
    }

    private long NextPage(long index)
    {
        foreach (var next in _indexes.GetViewBetween(index, long.MaxValue))
        {
            return next;
        }

        return -1;
    }
}
