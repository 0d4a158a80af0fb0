using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// Makes space for blocks, on the MiB grid: zeroes places that were given up, and grows the file. Bitmap blocks are never given up, because the log may still aim at them.
/// </summary>
/// <remarks>
/// What lies behind the file's end reads as zeros once the file has grown over it, and an entry's LastFileOffset makes a replay grow it: a new place
/// there needs no barrier. A place that was zeroed needs one until a flush has ended.
/// </remarks>
internal sealed class VhdxSpace : IDisposable
{
    private const long FirstLeap = 8L << 20; // bytes
    private const long LargestLeap = 256L << 20; // bytes
    private const int SmallestShare = 8; // a leap is no more than this part of the disk
    private const int MaxReformatted = 8; // slots

    private readonly IStorage _storage;
    private readonly SlotPool _pool;
    private readonly Lock _tableLock;
    private readonly long _blockSize;
    private readonly bool _isDifferencing;
    private readonly SemaphoreSlim _mutex = new(1, 1);
    private readonly Queue<long> _bitmapBlocks = new(); // known zero. Guarded by the table's lock
    private readonly long _largestLeap;
    private long _leap;
    private long _reserved; // bytes; the file's places up to here are given out or in the pool. Guarded by _mutex
    private long _endOfData; // bytes; everything in use lies before this. Guarded by the table's lock

    /// <param name="storage">The file.</param>
    /// <param name="pool">Where slots go.</param>
    /// <param name="tableLock">The table's.</param>
    /// <param name="metadata">Of the image.</param>
    public VhdxSpace(IStorage storage, SlotPool pool, Lock tableLock, VhdxMetadata metadata)
    {
        _storage = storage;
        _pool = pool;
        _tableLock = tableLock;
        _blockSize = metadata.BlockSize;
        _isDifferencing = metadata.HasParent;
        _largestLeap = Math.Clamp(metadata.VirtualSize / SmallestShare, _blockSize, LargestLeap);
        _leap = Math.Clamp(FirstLeap, _blockSize, _largestLeap);
        _reserved = Alignment.Up(storage.Length, VhdxLayout.StructureAlignment);
        _endOfData = _reserved;
    }

    /// <summary>Bytes that the file needs for everything in use. Under the table's lock.</summary>
    public long EndOfData => _endOfData;

    /// <summary>A sector bitmap block, known to read as zeros. Under the table's lock.</summary>
    public bool TryTakeBitmapBlock(out long offset)
    {
        if (!_bitmapBlocks.TryDequeue(out offset))
        {
            return false;
        }

        _endOfData = Math.Max(_endOfData, offset + VhdxLayout.SectorBitmapBlockSize);
        return true;
    }

    /// <summary>Takes a place for a payload block. Under the table's lock.</summary>
    public bool TryTake(out Slot slot)
    {
        if (!_pool.TryTake(out slot))
        {
            return false;
        }

        _endOfData = Math.Max(_endOfData, slot.Offset + _blockSize);
        return true;
    }

    /// <summary>Makes at least one payload block, and a sector bitmap block where one may be needed, available.</summary>
    public async ValueTask<BlockStatus> ReserveAsync(int slotCount, CancellationToken cancellationToken)
    {
        await _mutex.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_isDifferencing && !HasBitmapBlock())
            {
                var status = await GrowAsync(VhdxLayout.SectorBitmapBlockSize, 1, offset => _bitmapBlocks.Enqueue(offset)).ConfigureAwait(false);
                if (status != BlockStatus.Ok)
                {
                    return status;
                }
            }

            var reusable = new List<long>();
            lock (_tableLock)
            {
                if (_pool.AvailableCount > 0)
                {
                    return BlockStatus.Ok;
                }

                while (reusable.Count < MaxReformatted && _pool.TryTakeUnformatted(out var offset))
                {
                    reusable.Add(offset);
                }
            }

            return reusable.Count > 0
                ? await ZeroAllAsync(reusable).ConfigureAwait(false)
                : await LeapAsync(slotCount).ConfigureAwait(false);
        }
        finally
        {
            _mutex.Release();
        }
    }

    public void Dispose() => _mutex.Dispose();

    private bool HasBitmapBlock()
    {
        lock (_tableLock)
        {
            return _bitmapBlocks.Count > 0;
        }
    }

    private async ValueTask<BlockStatus> LeapAsync(int slotCount)
    {
        var count = (int)Math.Max(slotCount, _leap / _blockSize);
        _leap = Math.Min(_leap * 2, _largestLeap);
        var status = await GrowAsync(_blockSize, count, _pool.AddDurable).ConfigureAwait(false);
        return status == BlockStatus.NoSpace && count > 1 ? await GrowAsync(_blockSize, 1, _pool.AddDurable).ConfigureAwait(false) : status;
    }

    /// <summary>Grows the file over <paramref name="count"/> places.</summary>
    private async ValueTask<BlockStatus> GrowAsync(long size, int count, Action<long> add)
    {
        if (_storage.Traits.IsBlockDevice || _reserved > VhdxLayout.MaxFileLength - (size * count))
        {
            return BlockStatus.NoSpace;
        }

        var start = _reserved;
        var status = await _storage.SetLengthAsync(start + (size * count)).ConfigureAwait(false);
        if (status == BlockStatus.Ok)
        {
            _reserved = start + (size * count);
            lock (_tableLock)
            {
                for (var i = 0; i < count; i++)
                {
                    add(start + (i * size));
                }
            }
        }

        return status;
    }

    private async ValueTask<BlockStatus> ZeroAllAsync(List<long> offsets)
    {
        foreach (var offset in offsets)
        {
            var status = Sabotage.Is(SabotagePoint.ZeroReusedSpace) ? BlockStatus.Ok : await StorageZeros.WriteAsync(_storage, offset, _blockSize).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                lock (_tableLock)
                {
                    offsets.ForEach(_pool.AddUnformatted);
                }

                return status;
            }
        }

        lock (_tableLock)
        {
            offsets.ForEach(_pool.AddFormatted);
        }

        return BlockStatus.Ok;
    }
}
