using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// Writes entries into the log's ring, and their pages into the file ([MS-VHDX] §2.3). One call at a time.
/// </summary>
/// <remarks>
/// The order is the caller's to keep: an entry, a flush, its pages in place. Flushes are told here, so that the log knows what is durable, and with it how much of
/// the ring may be overwritten.
/// </remarks>
internal sealed class VhdxLogWriter
{
    private const int MostPages = 2048; // 8 MiB

    private readonly IStorage _storage;
    private readonly long _logOffset;
    private readonly long _logLength;
    private readonly VhdxLogRing _ring;
    private ulong _written; // sequence number of the last entry in the ring
    private ulong _applied; // all entries up to this one have their pages in place, unsynced perhaps
    private ulong _flushingWritten; // what the flush under way will have made durable
    private ulong _flushingApplied;
    private long _flushingLength;

    /// <param name="storage">The file.</param>
    /// <param name="header">Says where the log lies.</param>
    /// <param name="durableLength">Bytes that the file has durably.</param>
    /// <param name="identifiers">Where its identifier and its first sequence number come from.</param>
    public VhdxLogWriter(IStorage storage, VhdxHeader header, long durableLength, VhdxIdentifiers identifiers)
    {
        _storage = storage;
        _logOffset = (long)header.LogOffset;
        _logLength = header.LogLength;
        DurableLength = durableLength;
        LogGuid = identifiers.NextGuid();
        _ring = new VhdxLogRing((int)(_logLength / VhdxLayout.LogSectorSize), identifiers.NextSequenceNumber());
    }

    /// <summary>The session's identifier.</summary>
    public Guid LogGuid { get; }

    /// <summary>Bytes that the file is known to have after a power cut.</summary>
    public long DurableLength { get; private set; }

    /// <summary>Pages that one entry may have: with more than a third of the ring, the tail could not be moved in time; and all of them are in memory at once.</summary>
    public static int MaxPages(long logLength) => (int)Math.Min(MostPages, (logLength / VhdxLayout.LogSectorSize / 3) - 4);

    /// <summary>An entry with so many pages can be written now.</summary>
    public bool HasRoomFor(int pageCount) => VhdxLogEntryWriter.SectorCount(pageCount) <= _ring.FreeSectorCount;

    /// <summary>Writes an entry. It counts once a flush has ended that starts after this.</summary>
    /// <param name="pages">At most <see cref="MaxPages"/>; none moves the tail.</param>
    /// <param name="lastFileOffset">Bytes that the file needs for all that the pages point at.</param>
    /// <param name="flushedLimit">Bytes that the file will be cut down to next.</param>
    public async ValueTask<BlockStatus> WriteEntryAsync(IReadOnlyList<VhdxPageImage> pages, long lastFileOffset, long flushedLimit = long.MaxValue)
    {
        var entry = _ring.Append(VhdxLogEntryWriter.SectorCount(pages.Count), isEmpty: pages.Count == 0);
        var size = entry.SectorCount * VhdxLayout.LogSectorSize;
        using var buffer = PooledBuffer.Rent(size);
        var bytes = buffer.Span[..size];
        bytes.Clear();
        var values = new VhdxLogEntryValues(
            LogGuid,
            entry.SequenceNumber,
            (uint)(entry.Tail * VhdxLayout.LogSectorSize),
            Alignment.Down(Math.Min(flushedLimit, Sabotage.Is(SabotagePoint.FlushedLength) ? _storage.Length : DurableLength), VhdxLayout.StructureAlignment),
            Sabotage.Is(SabotagePoint.LengthInLog) ? 0 : Alignment.Up(lastFileOffset, VhdxLayout.StructureAlignment));
        VhdxLogEntryWriter.Write(bytes, values, pages);

        var position = (long)entry.Position * VhdxLayout.LogSectorSize;
        var beforeEnd = Math.Min(size, _logLength - position);
        var status = await _storage.WriteAsync(_logOffset + position, buffer.Take(size), 0, beforeEnd).ConfigureAwait(false);
        if (status == BlockStatus.Ok && beforeEnd < size)
        {
            status = await _storage.WriteAsync(_logOffset, buffer.Take(size), beforeEnd, size - beforeEnd).ConfigureAwait(false);
        }

        _written = entry.SequenceNumber;
        if (pages.Count == 0 && _applied == entry.SequenceNumber - 1)
        {
            _applied = entry.SequenceNumber;
        }

        return status;
    }

    /// <summary>Writes the pages of the last entry in their places. Only after a flush has made the entry durable.</summary>
    public async ValueTask<BlockStatus> ApplyAsync(IReadOnlyList<VhdxPageImage> pages)
    {
        var sorted = pages.OrderBy(page => page.FileOffset).ToArray();
        for (var (first, next) = (0, 0); first < sorted.Length; first = next)
        {
            for (next = first + 1; next < sorted.Length && sorted[next].FileOffset - sorted[next - 1].FileOffset == VhdxLayout.LogSectorSize; next++)
            {
            }

            var size = (next - first) * VhdxLayout.LogSectorSize;
            using var buffer = PooledBuffer.Rent(size);
            for (var i = first; i < next; i++)
            {
                sorted[i].Bytes.CopyTo(buffer.Span[((i - first) * VhdxLayout.LogSectorSize)..]);
            }

            var status = await _storage.WriteAsync(sorted[first].FileOffset, buffer.Take(size), 0, size).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return status;
            }
        }

        _applied = _written;
        return BlockStatus.Ok;
    }

    /// <summary>A flush of the storage starts.</summary>
    public void FlushStarts()
    {
        _flushingWritten = _written;
        _flushingApplied = _applied;
        _flushingLength = _storage.Length;
    }

    /// <summary>The flush has succeeded.</summary>
    public void FlushEnded()
    {
        // In this order: an entry's tail was chosen by what was applied durably before it.
        _ring.MadeDurable(_flushingWritten);
        _ring.AppliedDurably(_flushingApplied);
        DurableLength = _flushingLength;
    }
}
