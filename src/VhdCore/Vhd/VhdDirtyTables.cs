using VhdCore.Layers;
using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>What the tables in memory say and the file does not yet. Guarded by the table's lock.</summary>
internal sealed class VhdDirtyTables(VhdBlockTable table)
{
    private const int EntriesPerSector = VhdLayout.SectorSize / VhdLayout.BatEntrySize;
    private const int MaxNewBlocks = 64 << 10;

    private Changes _changes = new();
    private Changes? _committing;
    private volatile bool _isDirty;

    /// <summary>There are changes that no commit has taken.</summary>
    public bool IsDirty => _isDirty;

    /// <summary>Everything in memory is in the file.</summary>
    public bool IsClean => !_isDirty && Volatile.Read(ref _committing) is null;

    /// <summary>The changes have reached their bound and must be committed first.</summary>
    /// <param name="bitmapLimit">Bytes of changed bitmaps to hold.</param>
    public bool IsFull(long bitmapLimit) => _changes.NewBlocks.Count >= MaxNewBlocks || _changes.BitmapSize >= bitmapLimit;

    /// <summary>A block has got its place.</summary>
    public void Added(int block, Slot slot)
    {
        _changes.TableSectors.Add(block / EntriesPerSector);
        _changes.NewBlocks.Add(block);
        _changes.NeedsBarrier |= !slot.IsDurable;
        _isDirty = true;
    }

    /// <summary>A block has lost its place.</summary>
    public void Removed(int block)
    {
        _changes.TableSectors.Add(block / EntriesPerSector);
        _changes.NewBlocks.Remove(block);
        _changes.Bitmaps.Remove(block);
        _isDirty = true;
    }

    /// <summary>Bits of a block's bitmap are about to be set; their payload has landed.</summary>
    public void BitsSet(int block, VhdSectorBitmap bitmap)
    {
        if (_changes.Bitmaps.TryAdd(block, bitmap))
        {
            _changes.BitmapSize += bitmap.MemorySize;
        }

        bitmap.IsPinned = true;
        _isDirty = true;
    }

    /// <summary>Neither a change nor a commit under way concerns the block.</summary>
    public bool IsCommitted(int block) => !_changes.Concerns(block) && _committing?.Concerns(block) != true;

    /// <summary>Takes the changes for a commit, with the bytes as they are now.</summary>
    public VhdCommit TakeCommit(List<SlotPool.Freed> freed)
    {
        var changes = _changes;
        _committing = changes;
        _changes = new Changes();
        _isDirty = false;
        var commit = new VhdCommit { NeedsBarrier = changes.NeedsBarrier || changes.Bitmaps.Count > 0, Freed = freed };
        Copy(changes, commit);
        return commit;
    }

    /// <summary>Copies the bytes of the commit under way anew.</summary>
    public void Recopy(VhdCommit commit) => Copy(_committing!, commit);

    /// <summary>The commit's changes are durable.</summary>
    public void CommitEnded()
    {
        foreach (var (block, bitmap) in _committing!.Bitmaps)
        {
            bitmap.IsPinned = _changes.Bitmaps.ContainsKey(block);
        }

        Volatile.Write(ref _committing, null);
        table.Evict();
    }

    private void Copy(Changes changes, VhdCommit commit)
    {
        commit.Writes.Clear();
        CopyTable(changes, commit);
        foreach (var (block, bitmap) in changes.Bitmaps.OrderBy(pair => table.EntryOf(pair.Key)))
        {
            var bytes = new byte[table.BitmapSize];
            bitmap.WriteTo(bytes);
            commit.Writes.Add(new VhdCommit.Write((long)table.EntryOf(block) * VhdLayout.SectorSize, bytes));
        }
    }

    /// <summary>Neighbouring sectors of the table are written together.</summary>
    private void CopyTable(Changes changes, VhdCommit commit)
    {
        var sectors = changes.TableSectors.Order().ToArray();
        for (var i = 0; i < sectors.Length;)
        {
            var first = i;
            while (++i < sectors.Length && sectors[i] == sectors[i - 1] + 1 && i - first < PooledBuffer.PooledSize / VhdLayout.SectorSize)
            {
            }

            var bytes = new byte[(i - first) * VhdLayout.SectorSize];
            for (var j = first; j < i; j++)
            {
                table.CopyTableSector(sectors[j], bytes.AsSpan((j - first) * VhdLayout.SectorSize, VhdLayout.SectorSize));
            }

            commit.Writes.Add(new VhdCommit.Write(table.TableOffset + ((long)sectors[first] * VhdLayout.SectorSize), bytes));
        }
    }

    private sealed class Changes
    {
        public HashSet<int> TableSectors { get; } = [];

        public HashSet<int> NewBlocks { get; } = [];

        public Dictionary<int, VhdSectorBitmap> Bitmaps { get; } = [];

        /// <summary>Bytes of memory.</summary>
        public long BitmapSize { get; set; }

        /// <summary>A new block's place was not durable when it was given.</summary>
        public bool NeedsBarrier { get; set; }

        public bool Concerns(int block) => NewBlocks.Contains(block) || Bitmaps.ContainsKey(block);
    }
}
