using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// Makes space for blocks, on the MiB grid: zeroes places that were given up and holes between blocks, and grows the file. Bitmap blocks are never given up,
/// because the log may still aim at them.
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
    private const int MaxZeroed = 8; // places made ready at once when one is needed
    private const long MaxZeroedBytes = 32L << 20; // of them, beyond the first
    private const int MaxPunched = 4096; // places given back to the medium after a commit

    private readonly IStorage _storage;
    private readonly SlotPool _pool;
    private readonly Lock _tableLock;
    private readonly VhdxUsedSpace _used; // guarded by _mutex
    private readonly long _blockSize;
    private readonly bool _isDifferencing;
    private readonly bool _isFixed;
    private readonly SemaphoreSlim _mutex = new(1, 1);
    private readonly Queue<Slot> _bitmapBlocks = new(); // known zero. Guarded by the table's lock
    private readonly long _largestLeap;
    private long _leap;
    private long _end; // bytes; where the next place behind all others begins. Guarded by _mutex
    private long _hole; // bytes; there are no holes before this. Guarded by _mutex
    private volatile bool _canPunch = true;
    private long _endOfData; // bytes; everything in use lies before this. Guarded by the table's lock

    /// <param name="storage">The file.</param>
    /// <param name="pool">Where slots go.</param>
    /// <param name="tableLock">The table's.</param>
    /// <param name="metadata">Of the image.</param>
    /// <param name="used">What is in use now.</param>
    public VhdxSpace(IStorage storage, SlotPool pool, Lock tableLock, VhdxMetadata metadata, VhdxUsedSpace used)
    {
        _storage = storage;
        _pool = pool;
        _tableLock = tableLock;
        _used = used;
        _blockSize = metadata.BlockSize;
        _isDifferencing = metadata.HasParent;
        _isFixed = metadata.Kind == ImageKind.Fixed;
        _largestLeap = Math.Clamp(metadata.VirtualSize / SmallestShare, _blockSize, LargestLeap);
        _leap = Math.Clamp(FirstLeap, _blockSize, _largestLeap);
        _endOfData = used.Map.End;
        LengthAtStart = storage.Traits.IsBlockDevice ? storage.Length
            : _isFixed ? Alignment.Up(Math.Max(storage.Length, _endOfData), VhdxLayout.StructureAlignment) // it keeps the space for all its blocks
            : _endOfData;
        _end = Alignment.Down(LengthAtStart, VhdxLayout.StructureAlignment);
    }

    /// <summary>Bytes that the file needs for everything in use. Under the table's lock.</summary>
    public long EndOfData => _endOfData;

    /// <summary>Bytes that the file should have when a session begins: what it has behind that is of no use, what it lacks belongs to the last block.</summary>
    public long LengthAtStart { get; }

    /// <summary>Places have been given up that <see cref="PunchFreedAsync"/> may be able to give back.</summary>
    public bool HasFreed
    {
        get
        {
            lock (_tableLock)
            {
                return _canPunch && _pool.HasFreed;
            }
        }
    }

    /// <summary>A sector bitmap block, known to read as zeros. Under the table's lock.</summary>
    public bool TryTakeBitmapBlock(out Slot block)
    {
        if (!_bitmapBlocks.TryDequeue(out block))
        {
            return false;
        }

        _endOfData = Math.Max(_endOfData, block.Offset + VhdxLayout.SectorBitmapBlockSize);
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

    /// <summary>A block has lost its place; the entry was unpublished just now. Under the table's lock.</summary>
    public void Free(long offset)
    {
        if (offset != _used.ShortPlace) // no other block fits there; it is free when the file is opened again
        {
            _pool.AddFreed(offset);
        }
    }

    /// <summary>Makes at least one payload block, and a sector bitmap block where one may be needed, available.</summary>
    public async ValueTask<BlockStatus> ReserveAsync(int slotCount, CancellationToken cancellationToken)
    {
        await _mutex.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_isDifferencing && !HasBitmapBlock())
            {
                var status = await ReserveBitmapBlockAsync().ConfigureAwait(false);
                if (status != BlockStatus.Ok)
                {
                    return status;
                }
            }

            var wanted = (int)Math.Clamp(MaxZeroedBytes / _blockSize, 1, MaxZeroed);
            var places = new List<long>();
            lock (_tableLock)
            {
                if (_pool.AvailableCount > 0)
                {
                    return BlockStatus.Ok;
                }

                while (places.Count < wanted && _pool.TryTakeUnformatted(out var offset))
                {
                    places.Add(offset);
                }
            }

            while (places.Count < wanted && _used.Map.TryTake(ref _hole, _blockSize, _end, out var hole))
            {
                places.Add(hole);
            }

            return places.Count > 0 ? await ZeroAllAsync(places).ConfigureAwait(false) : await LeapAsync(slotCount).ConfigureAwait(false);
        }
        finally
        {
            _mutex.Release();
        }
    }

    /// <summary>Gives the medium the space of places back that were given up durably, which makes them known zeros after the next flush.</summary>
    public async ValueTask PunchFreedAsync()
    {
        await _mutex.WaitAsync().ConfigureAwait(false);
        try
        {
            var places = new List<long>();
            lock (_tableLock)
            {
                while (_canPunch && places.Count < MaxPunched && _pool.TryTakeUnformatted(out var offset))
                {
                    places.Add(offset);
                }
            }

            places.Sort();
            for (var (first, next) = (0, 0); first < places.Count; first = next)
            {
                for (next = first + 1; next < places.Count && places[next] - places[next - 1] == _blockSize; next++)
                {
                }

                var status = Sabotage.Is(SabotagePoint.ZeroReusedSpace) || !_canPunch ? BlockStatus.Unsupported
                    : await _storage.PunchHoleAsync(places[first], (next - first) * _blockSize).ConfigureAwait(false);
                _canPunch = status == BlockStatus.Ok;
                lock (_tableLock)
                {
                    places.GetRange(first, next - first).ForEach(_canPunch ? _pool.AddFormatted : _pool.AddUnformatted);
                }
            }
        }
        finally
        {
            _mutex.Release();
        }
    }

    /// <summary>Bytes that the file needs in the end, when nothing is in flight and all is committed.</summary>
    public long LengthAtEnd()
    {
        lock (_tableLock)
        {
            foreach (var offset in _pool.TakeAll())
            {
                _used.Map.Clear(offset, _blockSize);
            }

            while (_bitmapBlocks.TryDequeue(out var block))
            {
                _used.Map.Clear(block.Offset, VhdxLayout.SectorBitmapBlockSize);
            }
        }

        return _storage.Traits.IsBlockDevice ? _storage.Length
            : _isFixed ? Math.Max(LengthAtStart, _used.Map.End) // what a leap made and nobody took goes
            : _used.Map.End;
    }

    public void Dispose() => _mutex.Dispose();

    private bool HasBitmapBlock()
    {
        lock (_tableLock)
        {
            return _bitmapBlocks.Count > 0;
        }
    }

    private async ValueTask<BlockStatus> ReserveBitmapBlockAsync()
    {
        const long Size = VhdxLayout.SectorBitmapBlockSize;
        var status = await GrowAsync(Size, 1, slot => _bitmapBlocks.Enqueue(slot)).ConfigureAwait(false);
        long start = 0;
        if (status == BlockStatus.NoSpace && _used.Map.TryTake(ref start, Size, _end, out var hole))
        {
            status = await StorageZeros.WriteAsync(_storage, hole, Size).ConfigureAwait(false);
            if (status == BlockStatus.Ok)
            {
                lock (_tableLock)
                {
                    _bitmapBlocks.Enqueue(new Slot(hole, IsDurable: false));
                }
            }
            else
            {
                _used.Map.Clear(hole, Size);
            }
        }

        return status;
    }

    private async ValueTask<BlockStatus> LeapAsync(int slotCount)
    {
        var count = (int)Math.Max(slotCount, _leap / _blockSize);
        _leap = Math.Min(_leap * 2, _largestLeap);
        var status = await GrowAsync(_blockSize, count, Add).ConfigureAwait(false);
        return status == BlockStatus.NoSpace && count > 1 ? await GrowAsync(_blockSize, 1, Add).ConfigureAwait(false) : status;

        void Add(Slot slot)
        {
            if (slot.IsDurable)
            {
                _pool.AddDurable(slot.Offset);
            }
            else
            {
                _pool.AddFormatted(slot.Offset);
            }
        }
    }

    /// <summary>Grows the file over <paramref name="count"/> places.</summary>
    private async ValueTask<BlockStatus> GrowAsync(long size, int count, Action<Slot> add)
    {
        if (_storage.Traits.IsBlockDevice || _end > VhdxLayout.MaxFileLength - (size * count))
        {
            return BlockStatus.NoSpace;
        }

        var start = _end;
        var isKnownZero = _storage.Traits.ExtensionReadsZeros;
        var status = await _storage.SetLengthAsync(start + (size * count)).ConfigureAwait(false);
        if (status == BlockStatus.Ok && !isKnownZero)
        {
            status = await StorageZeros.WriteAsync(_storage, start, size * count).ConfigureAwait(false);
        }

        if (status == BlockStatus.Ok)
        {
            _end = start + (size * count);
            _used.Map.Mark(start, size * count);
            lock (_tableLock)
            {
                for (var i = 0; i < count; i++)
                {
                    add(new Slot(start + (i * size), isKnownZero));
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
