using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>A dynamic or differencing VHD that is open for writing.</summary>
/// <remarks>
/// The format has no log: a sector of the block allocation table, or of a bitmap, is what changes at once. Changes gather in memory, and a commit
/// writes them: flush, if they make something reachable that may not be durable; table and bitmap sectors as they were when it began; flush.
/// </remarks>
internal sealed class VhdWriter : IWritableLayer
{
    private readonly VhdBlockTable _table;
    private readonly SlotPool _pool;
    private readonly VhdSpace _space;
    private readonly VhdDirtyTables _dirty;
    private readonly VhdMetadata _metadata;
    private readonly long _dirtyBitmapLimit;
    private readonly uint _shortEntry; // of a block whose place is too small for another
    private bool _hasMovedSpace; // slots were taken or freed
    private volatile bool _hasUnsyncedPayload; // written since the last commit began

    internal VhdWriter(VhdWriterParts parts)
    {
        Storage = parts.Storage;
        _metadata = parts.Metadata;
        _table = parts.Table;
        _pool = parts.Pool;
        _space = parts.Space;
        _shortEntry = parts.ShortEntry;
        _dirty = new VhdDirtyTables(_table);
        _dirtyBitmapLimit = Math.Max(parts.TableCacheBytes / 2, 1 << 20);
    }

    public IStorage Storage { get; }

    public long Length => _metadata.VirtualSize;

    public int LogicalSectorSize => VhdLayout.SectorSize;

    public long BlockSize => _table.BlockSize;

    public long SectorLockUnit => _table.BlockSize;

    public bool HasParent => _table.IsDifferencing;

    public bool HasFreedSpace => false; // a freed place becomes a formatted slot

    public bool IsDirty => _dirty.IsDirty;

    /// <summary>Opens an image whose metadata was read and judged, and mends what an interrupted writer left of its footers. The storage is owned by the layer once this returns.</summary>
    /// <param name="storage">Open for writing.</param>
    /// <param name="metadata">Of the image.</param>
    /// <param name="options">How to open.</param>
    /// <param name="gate">The gate whose tickets the layer's callers hold.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <exception cref="ImageException">The block allocation table cannot be true, or the storage failed.</exception>
    public static ValueTask<IWritableLayer> OpenAsync(
        IStorage storage, VhdMetadata metadata, ImageOpenOptions options, InFlightGate gate, CancellationToken cancellationToken = default) =>
        VhdWriterOpener.OpenAsync(storage, metadata, options, gate, cancellationToken);

    public DiskExtent Resolve(long diskOffset, long length) => _table.Resolve(diskOffset, length);

    public ValueTask<BlockStatus> LoadAsync(long diskOffset, CancellationToken cancellationToken) => _table.LoadBitmapAsync(diskOffset, cancellationToken);

    public WriteExtent ResolveForWrite(long diskOffset, long length)
    {
        var block = _table.BlockOf(diskOffset);
        var inBlock = (int)(diskOffset & (BlockSize - 1));
        var run = Math.Min(length, BlockSize - inBlock);
        while (true)
        {
            var entry = _table.EntryOf(block);
            if (entry == VhdLayout.UnusedEntry)
            {
                if (Allocate(block) is { } obstacle)
                {
                    return new WriteExtent(obstacle, run, 0, IsPresent: false, null);
                }

                continue;
            }

            var bitmap = _table.BitmapOf(block);
            if (bitmap is null)
            {
                return new WriteExtent(WriteExtentKind.NotLoaded, run, 0, IsPresent: false, null);
            }

            if (_table.EntryOf(block) == entry)
            {
                var isPresent = HasAll(bitmap, inBlock, run);
                if (!isPresent && IsFull())
                {
                    return new WriteExtent(WriteExtentKind.NeedsCommit, run, 0, IsPresent: false, null);
                }

                return new WriteExtent(WriteExtentKind.Ready, run, _table.StorageOffset(entry, inBlock), isPresent, isPresent ? null : new Target(entry, bitmap));
            }
        }
    }

    public bool IsCommitted(long diskOffset, long length)
    {
        var block = _table.BlockOf(diskOffset);
        if (_table.BitmapOf(block) is not { } bitmap || !HasAll(bitmap, (int)(diskOffset & (BlockSize - 1)), length))
        {
            return false;
        }

        if (_dirty.IsClean)
        {
            return true;
        }

        lock (_table.Lock)
        {
            return _dirty.IsCommitted(block);
        }
    }

    public bool Complete(long diskOffset, long length, in WriteExtent written)
    {
        _hasUnsyncedPayload = true;
        if (written.Token is not Target target)
        {
            return true; // the sectors were present
        }

        var block = _table.BlockOf(diskOffset);
        lock (_table.Lock)
        {
            if (_table.EntryOf(block) != target.Entry)
            {
                return true; // released meanwhile, and this write with it
            }

            var bitmap = _table.Current(block, target.Bitmap);
            if (!bitmap.IsFull)
            {
                _dirty.BitsSet(block, bitmap);
                bitmap.Set((int)(diskOffset & (BlockSize - 1)) / VhdLayout.SectorSize, (int)(length / VhdLayout.SectorSize));
            }
        }

        return true;
    }

    public ValueTask<BlockStatus> ReserveAsync(int blockCount, CancellationToken cancellationToken) => _space.ReserveAsync(blockCount, cancellationToken);

    public ReleaseExtent Release(long diskOffset, long length, bool isTrim)
    {
        var block = _table.BlockOf(diskOffset);
        var inBlock = diskOffset & (BlockSize - 1);
        var run = Math.Min(length, BlockSize - inBlock);
        if (_table.IsDifferencing)
        {
            return new ReleaseExtent(ReleaseKind.Keep, run, 0); // the format has no entry that means zeros
        }

        if (_table.EntryOf(block) == VhdLayout.UnusedEntry)
        {
            return new ReleaseExtent(ReleaseKind.Released, _table.Resolve(diskOffset, length) is { IsAllocated: false } absent ? absent.Length : run, 0);
        }

        // A batmap may say that the block has all its sectors, and is not written here. And no other block fits into a place that is short.
        if (inBlock != 0 || run < Math.Min(BlockSize, Length - diskOffset) || _metadata.Batmap is not null || _table.EntryOf(block) == _shortEntry)
        {
            return new ReleaseExtent(ReleaseKind.Keep, run, 0);
        }

        lock (_table.Lock)
        {
            var entry = _table.EntryOf(block);
            if (entry != VhdLayout.UnusedEntry)
            {
                _table.Unpublish(block);
                _pool.AddFreed((long)entry * VhdLayout.SectorSize);
                _dirty.Removed(block);
                _hasMovedSpace = true;
            }
        }

        return new ReleaseExtent(ReleaseKind.Released, run, 0);
    }

    public ValueTask<BlockStatus> CommitAsync(CancellationToken cancellationToken) => CommitAsync(prepareSlots: true);

    public ValueTask GiveBackAsync() => ValueTask.CompletedTask;

    public async ValueTask<BlockStatus> CloseAsync(CancellationToken cancellationToken)
    {
        var status = _hasUnsyncedPayload || _dirty.IsDirty ? await CommitAsync(prepareSlots: false).ConfigureAwait(false) : BlockStatus.Ok;
        return status == BlockStatus.Ok && _hasMovedSpace
            ? await _space.TrimEndAsync(VhdWriterOpener.EndOfData(_metadata, _table, Storage.Length, wholeBlocks: true)).ConfigureAwait(false)
            : status;
    }

    public ValueTask DisposeAsync()
    {
        _space.Dispose();
        return Storage.DisposeAsync();
    }

    private static bool HasAll(VhdSectorBitmap bitmap, int inBlock, long length)
    {
        var first = inBlock / VhdLayout.SectorSize;
        var last = (int)((inBlock + length - 1) / VhdLayout.SectorSize);
        return bitmap.IsFull || bitmap.HasAll(first, last - first + 1);
    }

    /// <summary>Gives a block a place that reads as zeros, or as the parent.</summary>
    /// <returns>What stands in the way; null when the block has a place now.</returns>
    private WriteExtentKind? Allocate(int block)
    {
        lock (_table.Lock)
        {
            if (_table.EntryOf(block) != VhdLayout.UnusedEntry)
            {
                return null;
            }

            if (_dirty.IsFull(_dirtyBitmapLimit))
            {
                return WriteExtentKind.NeedsCommit;
            }

            if (!_pool.TryTake(out var slot))
            {
                return WriteExtentKind.NeedsSpace;
            }

            _dirty.Added(block, slot);
            _table.Publish(block, (uint)(slot.Offset / VhdLayout.SectorSize), _table.IsDifferencing ? VhdSectorBitmap.CreateEmpty((int)(BlockSize / VhdLayout.SectorSize)) : VhdSectorBitmap.Full);
            _hasMovedSpace = true;
            return null;
        }
    }

    private bool IsFull()
    {
        lock (_table.Lock)
        {
            return _dirty.IsFull(_dirtyBitmapLimit);
        }
    }

    private async ValueTask<BlockStatus> CommitAsync(bool prepareSlots)
    {
        if (prepareSlots)
        {
            await _space.PrepareAsync().ConfigureAwait(false);
        }

        _hasUnsyncedPayload = false;
        VhdCommit commit;
        lock (_table.Lock)
        {
            commit = _dirty.TakeCommit(_pool.TakeUncommitted());
        }

        var status = BlockStatus.Ok;
        if (commit.NeedsBarrier && !Sabotage.Is(SabotagePoint.PayloadBarrier))
        {
            status = await _space.FlushAsync().ConfigureAwait(false);
        }

        if (Sabotage.Is(SabotagePoint.SnapshotBeforeBarrier))
        {
            lock (_table.Lock)
            {
                _dirty.Recopy(commit);
            }
        }

        for (var i = 0; i < commit.Writes.Count && status == BlockStatus.Ok; i++)
        {
            status = await WriteAsync(commit.Writes[i]).ConfigureAwait(false);
        }

        if (status == BlockStatus.Ok && !Sabotage.Is(SabotagePoint.TableBarrier))
        {
            status = await _space.FlushAsync().ConfigureAwait(false);
        }

        if (status == BlockStatus.Ok)
        {
            lock (_table.Lock)
            {
                _pool.AddCommitted(commit.Freed);
                _dirty.CommitEnded();
            }
        }

        return status;
    }

    private async ValueTask<BlockStatus> WriteAsync(VhdCommit.Write write)
    {
        using var buffer = PooledBuffer.Rent(write.Bytes.Length);
        write.Bytes.CopyTo(buffer.Span);
        return await Storage.WriteAsync(write.Offset, buffer.Take(write.Bytes.Length), 0, write.Bytes.Length).ConfigureAwait(false);
    }

    /// <summary>What a write into missing sectors resolved to.</summary>
    private sealed record Target(uint Entry, VhdSectorBitmap Bitmap);
}
