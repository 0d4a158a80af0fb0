using System.Buffers.Binary;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// A file as it will be once its log has been replayed, for reading; not a byte of the file is changed ([MS-VHDX] §2.3.3, note 5). Updates are read from
/// the log each time: only their places are kept in memory.
/// </summary>
internal sealed class VhdxReplayOverlay : IStorage
{
    private readonly IStorage _storage;
    private readonly VhdxReplayMap _map;

    /// <param name="storage">Owned from here on. Its length must not change.</param>
    /// <param name="replay">What its log comes to.</param>
    public VhdxReplayOverlay(IStorage storage, VhdxLogReplay replay)
    {
        _storage = storage;
        _map = new VhdxReplayMap(replay.Updates);
        Length = replay.LengthAfter(storage.Length);
        Traits = storage.Traits with { CanWrite = false };
    }

    public string Name => _storage.Name;

    public StorageTraits Traits { get; }

    /// <summary>Bytes after replay, which may be more than the file has now.</summary>
    public long Length { get; }

    public long TryRead(long offset, BlockBuffers into, long start, long length)
    {
        length = Math.Min(length, Length - offset);
        long done = 0;
        while (done < length)
        {
            var run = Find(offset + done, length - done, out var source, out var update);
            if (source < 0)
            {
                into.Clear(start + done, run);
                done += run;
                continue;
            }

            var moved = _storage.TryRead(source, into, start + done, run);
            if (update is not null && moved == run)
            {
                Restore(update.Value, offset + done, into, start + done, run);
            }

            if (moved < run)
            {
                return update is null ? done + moved : done; // half a sector of the log is of no use
            }

            done += run;
        }

        return Math.Max(0, done);
    }

    public async ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default)
    {
        if (offset < 0 || length < 0 || offset > Length || length > Length - offset)
        {
            return BlockStatus.OutOfRange;
        }

        for (long done = 0; done < length;)
        {
            var run = Find(offset + done, length - done, out var source, out var update);
            if (source < 0)
            {
                into.Clear(start + done, run);
            }
            else
            {
                var status = await _storage.ReadAsync(source, into, start + done, run, cancellationToken).ConfigureAwait(false);
                if (status != BlockStatus.Ok)
                {
                    return status;
                }

                if (update is { } data)
                {
                    Restore(data, offset + done, into, start + done, run);
                }
            }

            done += run;
        }

        return BlockStatus.Ok;
    }

    public ValueTask<BlockStatus> WriteAsync(
        long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(BlockStatus.ReadOnly);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.Ok);

    public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.ReadOnly);

    public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.ReadOnly);

    public StorageRun Map(long offset, long length)
    {
        if (offset < 0 || length < 1 || offset > Length || length > Length - offset)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"{length} bytes at {offset} do not lie inside {Length} bytes.");
        }

        var run = Find(offset, length, out var source, out var update);
        return source < 0 ? new StorageRun(IsHole: true, run)
            : update is not null ? new StorageRun(IsHole: false, run)
            : _storage.Map(source, run);
    }

    public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.ReadOnly);

    public ValueTask DisposeAsync() => _storage.DisposeAsync();

    /// <summary>The first run at an offset: where its bytes lie in the file, -1 for zeros, and the update that a sector of the log belongs to.</summary>
    private long Find(long offset, long length, out long source, out VhdxLogUpdate? update)
    {
        var run = _map.Find(offset, length, out update);
        if (update is { } found)
        {
            source = found.IsZero ? -1 : found.SourceOffset + (offset - found.FileOffset);
            return run;
        }

        var stored = _storage.Length - offset;
        source = stored > 0 ? offset : -1; // the file grows by what replay writes behind its end
        return stored > 0 ? Math.Min(run, stored) : run;
    }

    /// <summary>Puts those bytes of an update in place that its sector of the log does not hold.</summary>
    private static void Restore(VhdxLogUpdate update, long offset, BlockBuffers into, long start, long length)
    {
        Span<byte> ends = stackalloc byte[VhdxLogDataSectorView.LeadingSize + sizeof(uint)];
        BinaryPrimitives.WriteUInt64LittleEndian(ends, update.LeadingBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(ends[VhdxLogDataSectorView.LeadingSize..], update.TrailingBytes);
        var inSector = offset - update.FileOffset;
        Copy(ends[..VhdxLogDataSectorView.LeadingSize], 0);
        Copy(ends[VhdxLogDataSectorView.LeadingSize..], VhdxLogDataSectorView.TrailingOffset);

        void Copy(ReadOnlySpan<byte> bytes, long at)
        {
            var from = Math.Max(at, inSector);
            var to = Math.Min(at + bytes.Length, inSector + length);
            if (from < to)
            {
                into.CopyFrom(start + (from - inSector), bytes[(int)(from - at)..(int)(to - at)]);
            }
        }
    }
}
