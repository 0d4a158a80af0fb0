using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Finds the valid entries of a log and the active sequence among them ([MS-VHDX] §2.3.2 and §2.3.3), in one pass over the ring.</summary>
/// <remarks>
/// The specification's steps try every 4 KiB place as a start and check entries again each time, which a made-up log turns into hours. Here an entry is
/// checked once, sector by sector, ending at the first sector that does not belong; sectors that did belong have another signature than an entry's start,
/// so the pass goes on behind them. Sequences are then chains of entries, each checked once.
/// </remarks>
internal sealed class VhdxLogScanner(IStorage storage, long logOffset, long logLength, Guid logGuid)
{
    // Sectors behind an entry's data, for writers that align entries to a disk's larger sectors: up to 64 KiB, the most that headers allow for.
    private const long MaxPaddingSectors = 16;

    private readonly byte[] _buffer = new byte[64 * VhdxLayout.LogSectorSize];
    private readonly List<VhdxLogEntry> _entries = []; // by place in the log
    private long _bufferedStart = -1; // sector of the log at the buffer's start
    private long _bufferedCount;

    /// <summary>Entries with another identifier: of earlier sessions.</summary>
    public int StaleEntryCount { get; private set; }

    /// <summary>Entries of this session that are not whole.</summary>
    public int TornEntryCount { get; private set; }

    /// <summary>Bytes from the log's start to the first of them.</summary>
    public long FirstTornPosition { get; private set; }

    private long SectorCount => logLength / VhdxLayout.LogSectorSize;

    /// <summary>The active sequence, its tail first; empty where there is none.</summary>
    public async ValueTask<IReadOnlyList<VhdxLogEntry>> FindActiveSequenceAsync(CancellationToken cancellationToken)
    {
        for (long sector = 0; sector < SectorCount;)
        {
            var (entry, isTorn, examined) = await ExamineAsync(sector, cancellationToken).ConfigureAwait(false);
            if (entry is { } valid)
            {
                _entries.Add(valid);
            }
            else if (isTorn)
            {
                FirstTornPosition = TornEntryCount++ == 0 ? sector * VhdxLayout.LogSectorSize : FirstTornPosition;
            }

            sector += examined;
        }

        return ActiveSequence(_entries, logLength);
    }

    /// <summary>A 4 KiB sector of the log; the ring's end is followed by its start. The memory holds until the next call.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> ReadSectorAsync(long sector, CancellationToken cancellationToken)
    {
        sector %= SectorCount;
        if (_bufferedStart < 0 || sector < _bufferedStart || sector >= _bufferedStart + _bufferedCount)
        {
            _bufferedCount = Math.Min(_buffer.Length / VhdxLayout.LogSectorSize, SectorCount - sector);
            _bufferedStart = sector;
            var part = _buffer.AsMemory(0, (int)_bufferedCount * VhdxLayout.LogSectorSize);
            await storage.ReadExactAsync(logOffset + (sector * VhdxLayout.LogSectorSize), part, "the log", cancellationToken).ConfigureAwait(false);
        }

        return _buffer.AsMemory((int)(sector - _bufferedStart) * VhdxLayout.LogSectorSize, VhdxLayout.LogSectorSize);
    }

    /// <summary>Of sequences that end with an entry whose tail they contain, the one with the greatest sequence number, from that tail on.</summary>
    internal static IReadOnlyList<VhdxLogEntry> ActiveSequence(IReadOnlyList<VhdxLogEntry> entries, long logLength)
    {
        var indexes = new Dictionary<long, int>(entries.Count);
        for (var i = 0; i < entries.Count; i++)
        {
            indexes[entries[i].LogPosition] = i;
        }

        var next = new int[entries.Count];
        var isFollowing = new bool[entries.Count];
        for (var i = 0; i < entries.Count; i++)
        {
            var end = (entries[i].LogPosition + entries[i].Length) % logLength;
            next[i] = -1;
            if (indexes.TryGetValue(end, out var follower) && !isFollowing[follower]
                && entries[follower].SequenceNumber == unchecked(entries[i].SequenceNumber + 1))
            {
                next[i] = follower;
                isFollowing[follower] = true;
            }
        }

        List<VhdxLogEntry> active = [];
        for (var i = 0; i < entries.Count; i++)
        {
            if (isFollowing[i])
            {
                continue;
            }

            List<VhdxLogEntry> sequence = [];
            long length = 0;
            for (var at = i; at >= 0 && entries[at].Length <= logLength - length; at = next[at])
            {
                sequence.Add(entries[at]);
                length += entries[at].Length;
            }

            var head = sequence[^1];
            var tail = sequence.FindIndex(entry => entry.LogPosition == head.Tail);
            if (tail >= 0 && (active.Count == 0 || head.SequenceNumber > active[^1].SequenceNumber))
            {
                active = sequence[tail..];
            }
        }

        return active;
    }

    /// <summary>The entry that begins at a sector, if a valid one does, and how many sectors from there on need not be looked at again.</summary>
    private async ValueTask<(VhdxLogEntry? Entry, bool IsTorn, long Examined)> ExamineAsync(long start, CancellationToken cancellationToken)
    {
        var bytes = await ReadSectorAsync(start, cancellationToken).ConfigureAwait(false);
        if (!IsOfThisSession(bytes.Span))
        {
            return (null, false, 1);
        }

        if (ParseHeader(bytes.Span, start) is not { } entry)
        {
            return (null, true, 1);
        }

        var checksum = new VhdxLogEntryHeaderView(bytes.Span).Checksum;
        var descriptorSectors = VhdxLogEntry.DescriptorSectors(entry.DescriptorCount);
        var sectors = entry.Length / VhdxLayout.LogSectorSize;
        long dataSectors = 0;
        var sum = Crc32C.Start;
        for (long i = 0; i < sectors; i++)
        {
            bytes = await ReadSectorAsync(start + i, cancellationToken).ConfigureAwait(false);
            if (i < descriptorSectors)
            {
                var found = CountDataDescriptors(bytes.Span, i, entry);
                if (found < 0)
                {
                    return (null, true, Math.Max(1, i));
                }

                dataSectors += found;
            }
            else if (i < descriptorSectors + dataSectors)
            {
                var data = new VhdxLogDataSectorView(bytes.Span);
                if (!data.HasSignature || data.SequenceNumber != entry.SequenceNumber)
                {
                    return (null, true, i);
                }
            }
            else if (sectors - descriptorSectors - dataSectors > MaxPaddingSectors)
            {
                return (null, true, i);
            }

            sum = i == 0
                ? Crc32C.AppendExcludingField(sum, bytes.Span, VhdxLogEntryHeaderView.ChecksumOffset)
                : Crc32C.Append(sum, bytes.Span);
        }

        var isWhole = descriptorSectors + dataSectors <= sectors && Crc32C.Finish(sum) == checksum;
        return isWhole ? (entry, false, sectors) : (null, true, Math.Min(sectors, descriptorSectors + dataSectors));
    }

    private bool IsOfThisSession(ReadOnlySpan<byte> bytes)
    {
        var header = new VhdxLogEntryHeaderView(bytes);
        var isStale = header.HasSignature && header.LogGuid != logGuid;
        StaleEntryCount += isStale ? 1 : 0;
        return header.HasSignature && !isStale;
    }

    private VhdxLogEntry? ParseHeader(ReadOnlySpan<byte> bytes, long start)
    {
        var header = new VhdxLogEntryHeaderView(bytes);
        var isPossible = header.SequenceNumber > 0
            && header.EntryLength >= VhdxLayout.LogSectorSize && header.EntryLength <= logLength && Alignment.Is(header.EntryLength, VhdxLayout.LogSectorSize)
            && header.Tail < logLength && Alignment.Is(header.Tail, VhdxLayout.LogSectorSize)
            && VhdxLogEntry.DescriptorSectors(header.DescriptorCount) <= header.EntryLength / VhdxLayout.LogSectorSize;
        return isPossible
            ? new VhdxLogEntry(
                start * VhdxLayout.LogSectorSize, header.EntryLength, header.Tail, header.SequenceNumber, header.DescriptorCount,
                header.FlushedFileOffset, header.LastFileOffset)
            : null;
    }

    /// <summary>Data descriptors in one descriptor sector; -1 when a descriptor is none, or another entry's.</summary>
    private static int CountDataDescriptors(ReadOnlySpan<byte> bytes, long sector, VhdxLogEntry entry)
    {
        var (start, count) = VhdxLogEntry.DescriptorsIn(sector, entry.DescriptorCount);
        var found = 0;
        for (var i = 0; i < count; i++)
        {
            var descriptor = new VhdxLogDescriptorView(bytes[(start + (i * VhdxLogDescriptorView.Size))..]);
            if ((!descriptor.IsZero && !descriptor.IsData) || descriptor.SequenceNumber != entry.SequenceNumber)
            {
                return -1;
            }

            found += descriptor.IsData ? 1 : 0;
        }

        return found;
    }
}
