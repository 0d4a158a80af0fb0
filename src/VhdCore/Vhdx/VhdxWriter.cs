using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>A VHDX that is open for writing: fixed, dynamic or differencing.</summary>
/// <remarks>
/// Changes of the BAT and of sector bitmaps gather in memory, as pages. A commit puts them into the log as one entry: flush, if they make something
/// reachable that may not be durable; the entry with the pages as they were when the commit began; flush; then the pages in their places.
/// </remarks>
internal sealed class VhdxWriter : IWritableLayer
{
    private const int MaxPagesPerChange = 20; // a block's slice of the bitmap, its entry and the bitmap's
    private const int MinChanges = 32; // that fit into memory at once, so that requests under way together do not drop each other's pages

    private readonly VhdxMetadata _metadata;
    private readonly VhdxWriterTable _table;
    private readonly SlotPool _pool;
    private readonly VhdxSpace _space;
    private readonly VhdxSession _session;
    private readonly VhdxDirtyPages _dirty;
    private readonly SemaphoreSlim _startMutex = new(1, 1);
    private readonly int _maxPages; // changed ones, before a commit

    /// <param name="storage">Has no log to replay. Owned from here on.</param>
    /// <param name="metadata">Judged.</param>
    /// <param name="header">The current one.</param>
    /// <param name="tableCacheBytes">Bytes of table pages to keep, if it is enough for a few requests at once.</param>
    /// <param name="used">What of the file is in use.</param>
    /// <param name="pool">Of places for blocks; empty.</param>
    /// <param name="identifiers">Where new ones come from.</param>
    internal VhdxWriter(
        IStorage storage, VhdxMetadata metadata, VhdxHeader header, long tableCacheBytes, VhdxUsedSpace used, SlotPool pool, VhdxIdentifiers identifiers)
    {
        Storage = storage;
        _metadata = metadata;
        _dirty = new VhdxDirtyPages();
        var pagesPerChange = (metadata.BlockSize / metadata.LogicalSectorSize / VhdxTablePage.BitCount) + 3;
        tableCacheBytes = Math.Max(tableCacheBytes, 2 * (MaxPagesPerChange + (MinChanges * pagesPerChange)) * VhdxTablePage.MemorySize);
        var dataEnd = used.Map.End > storage.Length ? storage.Length : long.MaxValue; // what the last block lacks reads as zeros
        _table = new VhdxWriterTable(new VhdxBlockTable(storage, metadata, dataEnd, tableCacheBytes, mayChange: true), metadata, _dirty);
        _pool = pool;
        _space = new VhdxSpace(storage, _pool, _table.Lock, metadata, used);
        _session = new VhdxSession(storage, header, _pool, _table.Lock, identifiers);
        _maxPages = (int)Math.Min(_session.MaxPages, tableCacheBytes / VhdxTablePage.MemorySize / 2);
    }

    /// <summary>Bytes of memory that table pages take now.</summary>
    public long CacheSize => _table.Blocks.CacheSize;

    public IStorage Storage { get; }

    public long Length => _metadata.VirtualSize;

    public int LogicalSectorSize => _metadata.LogicalSectorSize;

    public long BlockSize => _metadata.BlockSize;

    public long SectorLockUnit => _metadata.HasParent ? BlockSize : 0;

    public bool HasParent => _metadata.HasParent;

    public bool IsDirty => _dirty.IsDirty;

    public bool HasFreedSpace => _space.HasFreed;

    public DiskExtent Resolve(long diskOffset, long length) => _table.Blocks.Resolve(diskOffset, length);

    public ValueTask<BlockStatus> LoadAsync(long diskOffset, CancellationToken cancellationToken) => _table.LoadAsync(diskOffset, cancellationToken);

    public WriteExtent ResolveForWrite(long diskOffset, long length)
    {
        var block = diskOffset / BlockSize;
        var inBlock = diskOffset % BlockSize;
        var run = Math.Min(length, BlockSize - inBlock);
        if (!_session.IsStarted)
        {
            return Obstacle(WriteExtentKind.NeedsSpace, run);
        }

        while (true)
        {
            if (_table.EntryOf(block) is not { } entry)
            {
                return Obstacle(WriteExtentKind.NotLoaded, run);
            }

            switch (entry.PayloadState)
            {
                case PayloadBlockState.FullyPresent:
                    return new WriteExtent(WriteExtentKind.Ready, run, (long)entry.FileOffset + inBlock, IsPresent: true, null);

                case PayloadBlockState.PartiallyPresent:
                    return ResolvePartial(diskOffset, run, entry);

                case PayloadBlockState.Reserved:
                    return Obstacle(WriteExtentKind.Corrupt, run);

                default:
                    if (Allocate(block) is { } obstacle)
                    {
                        return Obstacle(obstacle, run);
                    }

                    break;
            }
        }
    }

    public bool IsCommitted(long diskOffset, long length)
    {
        // In this order: who makes a sector present marks its page as changed first, so that nobody's change can slip in between the two questions.
        if (_table.AreAllPresent(diskOffset, length) && _dirty.IsClean)
        {
            return true;
        }

        lock (_table.Lock)
        {
            return _table.AreAllPresent(diskOffset, length) && _table.IsCommitted(diskOffset, length);
        }
    }

    public bool Complete(long diskOffset, long length, in WriteExtent written)
    {
        if (written.Token is not Target target)
        {
            return true; // the sectors were present
        }

        var block = diskOffset / BlockSize;
        lock (_table.Lock)
        {
            if (_table.EntryOf(block) is not { } entry)
            {
                return false;
            }

            if (entry.PayloadState != PayloadBlockState.PartiallyPresent || entry.FileOffset != target.FileOffset)
            {
                return true; // released meanwhile, and this write with it; or all its sectors are present
            }

            if (!_table.TrySetBits(diskOffset, length))
            {
                return false;
            }

            _table.PromoteIfWhole(block);
            return true;
        }
    }

    public async ValueTask<BlockStatus> ReserveAsync(int blockCount, CancellationToken cancellationToken)
    {
        if (!_session.IsStarted)
        {
            await _startMutex.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                var status = _session.IsStarted ? BlockStatus.Ok : await _session.StartAsync(_space.LengthAtStart).ConfigureAwait(false);
                if (status != BlockStatus.Ok)
                {
                    return status;
                }

                _table.Blocks.AreBlocksWhole();
            }
            finally
            {
                _startMutex.Release();
            }
        }

        return blockCount > 0 ? await _space.ReserveAsync(blockCount, cancellationToken).ConfigureAwait(false) : BlockStatus.Ok;
    }

    public ReleaseExtent Release(long diskOffset, long length, bool isTrim)
    {
        var block = diskOffset / BlockSize;
        var run = Math.Min(length, BlockSize - (diskOffset % BlockSize));
        while (true)
        {
            if (_table.EntryOf(block) is not { } entry)
            {
                return new ReleaseExtent(ReleaseKind.NotLoaded, run, 0);
            }

            var answer = _table.JudgeRelease(diskOffset, length, isTrim, entry);
            if (answer is { Kind: not ReleaseKind.Punch } settled)
            {
                return settled;
            }

            if (!_session.IsStarted)
            {
                return new ReleaseExtent(ReleaseKind.NeedsReserve, run, 0);
            }

            if (answer is { } punch)
            {
                return punch;
            }

            lock (_table.Lock)
            {
                if (_dirty.Count + MaxPagesPerChange > _maxPages)
                {
                    return new ReleaseExtent(ReleaseKind.NeedsCommit, run, 0);
                }

                // Without a place in either state: Hyper-V fails to read a file where zeros have one. And never back to what a parent would show through.
                if (!_table.TryReplaceEntry(block, entry, isTrim ? PayloadBlockState.Unmapped : PayloadBlockState.Zero, 0))
                {
                    continue; // what was judged is no longer there
                }

                if (entry.IsInFile)
                {
                    Interlocked.MemoryBarrier(); // the entry is gone before its place is tagged with an epoch
                    _space.Free((long)entry.FileOffset);
                }

                return new ReleaseExtent(ReleaseKind.Released, run, 0);
            }
        }
    }

    public async ValueTask<BlockStatus> CommitAsync(CancellationToken cancellationToken)
    {
        List<VhdxPageImage> pages;
        List<SlotPool.Freed> freed;
        bool needsBarrier;
        long endOfData;
        lock (_table.Lock)
        {
            (pages, needsBarrier) = _dirty.TakeCommit();
            freed = _pool.TakeUncommitted();
            endOfData = _space.EndOfData;
        }

        var status = pages.Count == 0 || (needsBarrier && !Sabotage.Is(SabotagePoint.PayloadBarrier))
            ? await _session.FlushAsync().ConfigureAwait(false)
            : BlockStatus.Ok;
        if (Sabotage.Is(SabotagePoint.SnapshotBeforeBarrier))
        {
            lock (_table.Lock)
            {
                pages = _dirty.ImagesOfCommit();
            }
        }

        // Writes that were under way together may have changed more than one entry takes: then it is several, each durable before the next.
        while (status == BlockStatus.Ok && pages.Count > _session.MaxPages)
        {
            var part = pages.GetRange(0, _session.MaxPages);
            pages.RemoveRange(0, part.Count);
            status = await _session.LogAsync(part, endOfData).ConfigureAwait(false);
            status = status == BlockStatus.Ok ? await _session.ApplyAsync(part).ConfigureAwait(false) : status;
        }

        if (status == BlockStatus.Ok && pages.Count > 0)
        {
            status = await _session.LogAsync(pages, endOfData).ConfigureAwait(false);
        }

        if (status != BlockStatus.Ok)
        {
            return status;
        }

        lock (_table.Lock)
        {
            _pool.AddCommitted(freed);
            _dirty.CommitIsDurable();
        }

        status = pages.Count > 0 ? await _session.ApplyAsync(pages).ConfigureAwait(false) : BlockStatus.Ok;
        if (status != BlockStatus.Ok)
        {
            return status;
        }

        lock (_table.Lock)
        {
            _table.Blocks.Unpin(_dirty.CommitEnded());
        }

        await GiveBackAsync().ConfigureAwait(false);
        return BlockStatus.Ok;
    }

    public ValueTask GiveBackAsync() => _space.PunchFreedAsync();

    public async ValueTask<BlockStatus> CloseAsync(CancellationToken cancellationToken)
    {
        if (!_session.IsStarted)
        {
            return BlockStatus.Ok; // nothing was changed
        }

        // Closing flushes first, whether there is anything to commit or not.
        var status = IsDirty ? await CommitAsync(cancellationToken).ConfigureAwait(false) : BlockStatus.Ok;
        return status == BlockStatus.Ok ? await _session.CloseAsync(_space.LengthAtEnd()).ConfigureAwait(false) : status;
    }

    public ValueTask DisposeAsync()
    {
        _space.Dispose();
        _startMutex.Dispose();
        return Storage.DisposeAsync();
    }

    private static WriteExtent Obstacle(WriteExtentKind kind, long run) => new(kind, run, 0, IsPresent: false, null);

    private WriteExtent ResolvePartial(long diskOffset, long run, VhdxBatEntry entry)
    {
        run = Math.Min(run, _table.BytesInBitmapPage(diskOffset));
        if (_table.BitmapPageOf(diskOffset) is not { } page)
        {
            return Obstacle(WriteExtentKind.NotLoaded, run);
        }

        var offset = (long)entry.FileOffset + (diskOffset % BlockSize);
        if (_table.AreBitsSet(page, diskOffset, run))
        {
            return new WriteExtent(WriteExtentKind.Ready, run, offset, IsPresent: true, null);
        }

        lock (_table.Lock)
        {
            return _dirty.Count + MaxPagesPerChange > _maxPages
                ? Obstacle(WriteExtentKind.NeedsCommit, run)
                : new WriteExtent(WriteExtentKind.Ready, run, offset, IsPresent: false, new Target(entry.FileOffset));
        }
    }

    /// <summary>Gives a block a place that reads as it did: as zeros, or as the parent.</summary>
    /// <returns>What stands in the way; null when the block has a place now.</returns>
    private WriteExtentKind? Allocate(long block)
    {
        lock (_table.Lock)
        {
            if (_table.EntryPageOf(block) is not { } page)
            {
                return WriteExtentKind.NotLoaded;
            }

            var entry = _table.EntryIn(page, block);
            if (entry.IsInFile)
            {
                return null;
            }

            if (_dirty.Count + MaxPagesPerChange > _maxPages)
            {
                return WriteExtentKind.NeedsCommit;
            }

            var isPartial = HasParent && entry.PayloadState == PayloadBlockState.NotPresent;
            if (isPartial && _table.PrepareSlice(block, _space) is { } obstacle)
            {
                return obstacle;
            }

            if (!_space.TryTake(out var slot))
            {
                return WriteExtentKind.NeedsSpace;
            }

            if (!slot.IsDurable)
            {
                _dirty.NeedsBarrier();
            }

            _table.SetEntry(block, page, isPartial ? PayloadBlockState.PartiallyPresent : PayloadBlockState.FullyPresent, slot.Offset);
            return null;
        }
    }

    /// <summary>What a write into missing sectors resolved to.</summary>
    private sealed record Target(ulong FileOffset);
}
