using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>
/// Makes space for blocks: formats places inside the file, and moves the end footer outwards over new ones.
/// </summary>
/// <remarks>
/// The footer leaps ahead of the data by a write, never by a change of length, and the next slot begins behind the old footer's sector, so that whatever a
/// power cut leaves has a footer at its end or the copy at 0. Nothing here waits for a flush: a slot that is not durable yet costs the commit that first
/// points at it a barrier, and slots that were made before a flush need none after it.
/// </remarks>
internal sealed class VhdSpace : IDisposable
{
    private const long MaxEntry = VhdLayout.UnusedEntry - 1L;
    private const long FirstLeap = 8L << 20; // bytes
    private const long LargestLeap = 8L << 20; // bytes
    private const int SmallestShare = 8; // a leap is no more than this part of the disk
    private const int MaxPrepared = 256; // slots made ready ahead of need
    private const int MaxReformatted = 8; // slots

    private readonly IStorage _storage;
    private readonly VhdBlockTable _table;
    private readonly SlotPool _pool;
    private readonly byte[] _footer;
    private readonly SemaphoreSlim _mutex = new(1, 1);
    private readonly byte _freshBitmapByte;
    private readonly long _largestLeap;
    private long _leap;
    private long _dataEnd; // bytes; where the last slot ends. Guarded by _mutex
    private long _footerOffset; // bytes. Guarded by _mutex

    /// <param name="storage">The image.</param>
    /// <param name="table">Its table.</param>
    /// <param name="pool">Where slots go.</param>
    /// <param name="footer">The footer's 512 bytes.</param>
    /// <param name="footerOffset">Where the end footer lies.</param>
    /// <param name="dataEnd">Where the last structure or block ends.</param>
    public VhdSpace(IStorage storage, VhdBlockTable table, SlotPool pool, byte[] footer, long footerOffset, long dataEnd)
    {
        _storage = storage;
        _table = table;
        _pool = pool;
        _footer = footer;
        _footerOffset = footerOffset;
        _dataEnd = storage.Traits.IsBlockDevice ? dataEnd : footerOffset;
        _freshBitmapByte = table.IsDifferencing ? (byte)0 : (byte)0xFF;
        _largestLeap = Math.Clamp((long)table.Entries.Length * table.BlockSize / SmallestShare, table.BlockSize, Math.Max(table.BlockSize, LargestLeap));
        _leap = Math.Clamp(FirstLeap, table.BlockSize, _largestLeap);
    }

    /// <summary>Where new slots begin, in bytes. Before the first request.</summary>
    public long DataEnd => _dataEnd;

    /// <summary>Makes at least one slot available, several if that is cheap.</summary>
    public async ValueTask<BlockStatus> ReserveAsync(int slotCount, CancellationToken cancellationToken)
    {
        await _mutex.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            List<long> reusable;
            lock (_table.Lock)
            {
                if (_pool.AvailableCount > 0)
                {
                    return BlockStatus.Ok; // made while this one waited
                }

                reusable = TakeUnformatted(MaxReformatted);
            }

            if (reusable.Count > 0)
            {
                return await FormatAllAsync(reusable, isKnownZero: Sabotage.Is(SabotagePoint.ZeroReusedSpace)).ConfigureAwait(false);
            }

            var leap = (int)Math.Max(slotCount, _leap / _table.BlockSize);
            _leap = Math.Min(_leap * 2, _largestLeap);
            var status = await ExtendAsync(leap).ConfigureAwait(false);
            return status == BlockStatus.NoSpace && leap > 1 ? await ExtendAsync(1).ConfigureAwait(false) : status;
        }
        finally
        {
            _mutex.Release();
        }
    }

    /// <summary>
    /// Before a commit's first flush: makes as many slots as were taken since the last one, so that they are durable after it at no flush of their own. A failure
    /// costs nothing but that.
    /// </summary>
    public async ValueTask PrepareAsync()
    {
        await _mutex.WaitAsync().ConfigureAwait(false);
        try
        {
            int wanted;
            List<long> reusable;
            lock (_table.Lock)
            {
                wanted = Math.Min(_pool.TakenCount, MaxPrepared) - _pool.AvailableCount;
                _pool.ResetTaken();
                reusable = TakeUnformatted(wanted);
            }

            // Not a new place while there are old ones, or a disk that is trimmed and written for ever would grow for ever.
            if (reusable.Count > 0)
            {
                await FormatAllAsync(reusable, isKnownZero: Sabotage.Is(SabotagePoint.ZeroReusedSpace)).ConfigureAwait(false);
            }
            else if (wanted > 0)
            {
                await ExtendAsync(wanted).ConfigureAwait(false);
            }
        }
        finally
        {
            _mutex.Release();
        }
    }

    /// <summary>Flushes the storage; slots formatted before are durable then.</summary>
    public async ValueTask<BlockStatus> FlushAsync()
    {
        long stamp;
        lock (_table.Lock)
        {
            stamp = _pool.FlushStarts();
        }

        var status = await _storage.FlushAsync().ConfigureAwait(false);
        if (status == BlockStatus.Ok)
        {
            lock (_table.Lock)
            {
                _pool.FlushEnded(stamp);
            }
        }

        return status;
    }

    /// <summary>Pulls the footer back to the end of the data and cuts the file there. Nothing is in flight, and the table is durable.</summary>
    /// <param name="dataEnd">Where the last structure or block ends, by the durable table.</param>
    public async ValueTask<BlockStatus> TrimEndAsync(long dataEnd)
    {
        if (_storage.Traits.IsBlockDevice || dataEnd >= _footerOffset)
        {
            return BlockStatus.Ok;
        }

        var status = await WriteAsync(dataEnd, _footer).ConfigureAwait(false);
        if (status == BlockStatus.Ok && !Sabotage.Is(SabotagePoint.CloseBarrier))
        {
            status = await _storage.FlushAsync().ConfigureAwait(false);
        }

        if (status == BlockStatus.Ok)
        {
            status = await _storage.SetLengthAsync(dataEnd + VhdLayout.FooterSize).ConfigureAwait(false);
        }

        // Not flushed: should a power cut undo the cut of the file, the old end has a footer too.
        _footerOffset = dataEnd;
        return status;
    }

    public void Dispose() => _mutex.Dispose();

    /// <summary>Places to format, at most so many. The caller has the table's lock.</summary>
    private List<long> TakeUnformatted(int count)
    {
        var offsets = new List<long>();
        while (offsets.Count < Math.Min(count, MaxReformatted) && _pool.TryTakeUnformatted(out var offset))
        {
            offsets.Add(offset);
        }

        return offsets;
    }

    private async ValueTask<BlockStatus> ExtendAsync(int slotCount)
    {
        var slots = new List<long>(slotCount);
        var end = _dataEnd;
        for (var i = 0; i < slotCount; i++)
        {
            // Behind the old footer's sector, with the data on its alignment.
            var occupied = end == _footerOffset ? end + VhdLayout.FooterSize : end;
            var data = Alignment.Up(occupied + _table.BitmapSize, VhdLayout.DataAlignment);
            var offset = data - _table.BitmapSize;
            if (offset / VhdLayout.SectorSize > MaxEntry || (_storage.Traits.IsBlockDevice && data + _table.BlockSize > _footerOffset))
            {
                break;
            }

            slots.Add(offset);
            end = data + _table.BlockSize;
        }

        if (slots.Count == 0)
        {
            return BlockStatus.NoSpace;
        }

        if (!_storage.Traits.IsBlockDevice)
        {
            // The footer is the first write, so that where the length cannot outrun the data the end is always a footer.
            var status = await WriteAsync(end, _footer).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return status;
            }

            _footerOffset = end;
        }

        _dataEnd = end;
        return await FormatAllAsync(slots, isKnownZero: _storage.Traits.ExtensionReadsZeros).ConfigureAwait(false);
    }

    private async ValueTask<BlockStatus> FormatAllAsync(List<long> offsets, bool isKnownZero)
    {
        foreach (var offset in offsets)
        {
            var status = await FormatAsync(offset, isKnownZero).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                lock (_table.Lock)
                {
                    offsets.ForEach(_pool.AddUnformatted);
                }

                return status;
            }
        }

        lock (_table.Lock)
        {
            offsets.ForEach(_pool.AddFormatted);
        }

        return BlockStatus.Ok;
    }

    /// <summary>Writes a new block's bitmap, and zeros over the data unless it is known to read so.</summary>
    private async ValueTask<BlockStatus> FormatAsync(long offset, bool isKnownZero)
    {
        if (!isKnownZero)
        {
            var status = await StorageZeros.WriteAsync(_storage, offset + _table.BitmapSize, _table.BlockSize).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return status;
            }
        }

        using var bitmap = PooledBuffer.Rent(_table.BitmapSize);
        bitmap.Span[.._table.BitmapSize].Fill(_freshBitmapByte);
        return await _storage.WriteAsync(offset, bitmap.Take(_table.BitmapSize), 0, _table.BitmapSize).ConfigureAwait(false);
    }

    private async ValueTask<BlockStatus> WriteAsync(long offset, byte[] bytes)
    {
        using var buffer = PooledBuffer.Rent(bytes.Length);
        bytes.CopyTo(buffer.Span);
        return await _storage.WriteAsync(offset, buffer.Take(bytes.Length), 0, bytes.Length).ConfigureAwait(false);
    }
}
