namespace VhdCore.Testing.Independent;

/// <summary>One entry of a log, as the independent reader finds it.</summary>
/// <param name="At">Bytes from the log's start.</param>
/// <param name="Bytes">All of it, unwrapped.</param>
internal sealed record PlainVhdxLogEntry(long At, byte[] Bytes)
{
    public long Length => (long)PlainVhdxBytes.Number(Bytes, 8, 4);

    public long Tail => (long)PlainVhdxBytes.Number(Bytes, 12, 4);

    public ulong Sequence => PlainVhdxBytes.Number(Bytes, 16, 8);

    public long Descriptors => (long)PlainVhdxBytes.Number(Bytes, 24, 4);

    public ulong Flushed => PlainVhdxBytes.Number(Bytes, 48, 8);

    public ulong Last => PlainVhdxBytes.Number(Bytes, 56, 8);
}

/// <summary>Finds what a log's active sequence would write, by the specification's own steps, one after the other, however slow.</summary>
internal static class PlainVhdxLog
{
    private const int Sector = 4096;

    /// <summary>The active sequence, tail first; empty when there is none.</summary>
    public static List<PlainVhdxLogEntry> ActiveSequence(byte[] log, byte[] logId)
    {
        List<PlainVhdxLogEntry> candidate = [];
        Dictionary<long, PlainVhdxLogEntry?> known = [];
        long tail = 0;
        while (true)
        {
            List<PlainVhdxLogEntry> current = [];
            long head = tail;
            long covered = 0;
            while (EntryAt(head) is { } entry && (current.Count == 0 || entry.Sequence == current[^1].Sequence + 1) && covered + entry.Length <= log.Length)
            {
                current.Add(entry);
                covered += entry.Length;
                head = (head + entry.Length) % log.Length;
            }

            var start = current.Count == 0 ? -1 : current.FindIndex(entry => entry.At == current[^1].Tail);
            if (start >= 0 && (candidate.Count == 0 || current[^1].Sequence > candidate[^1].Sequence))
            {
                candidate = current[start..];
            }

            var old = tail;
            tail = start < 0 ? (tail + Sector) % log.Length : head;
            if (tail <= old)
            {
                return candidate;
            }
        }

        PlainVhdxLogEntry? EntryAt(long at)
        {
            if (!known.TryGetValue(at, out var entry))
            {
                entry = ReadEntry(log, at, logId);
                known.Add(at, entry);
            }

            return entry;
        }
    }

    /// <summary>The updates of a sequence in their order: where, how long, and the bytes; null for zeros.</summary>
    public static IEnumerable<(long Offset, long Length, byte[]? Content)> Updates(IEnumerable<PlainVhdxLogEntry> sequence)
    {
        foreach (var entry in sequence)
        {
            var dataAt = DescriptorSectors(entry.Descriptors) * Sector;
            for (long i = 0; i < entry.Descriptors; i++)
            {
                var at = 64 + (i * 32);
                var target = (long)PlainVhdxBytes.Number(entry.Bytes, at + 16, 8);
                if (entry.Bytes[at] == 'z')
                {
                    yield return (target, (long)PlainVhdxBytes.Number(entry.Bytes, at + 8, 8), null);
                    continue;
                }

                var content = new byte[Sector];
                Array.Copy(entry.Bytes, dataAt, content, 0, Sector);
                Array.Copy(entry.Bytes, at + 8, content, 0, 8);
                Array.Copy(entry.Bytes, at + 4, content, 4092, 4);
                yield return (target, Sector, content);
                dataAt += Sector;
            }
        }
    }

    public static long DescriptorSectors(long descriptors) => descriptors <= 126 ? 1 : 1 + ((descriptors - 126 + 127) / 128);

    private static PlainVhdxLogEntry? ReadEntry(byte[] log, long at, byte[] logId)
    {
        var header = Ring(log, at, 64);
        var entry = new PlainVhdxLogEntry(at, header);
        if (!PlainBytes.HasText(header, 0, "loge") || entry.Length < Sector || entry.Length % Sector != 0 || entry.Length > log.Length || entry.Sequence == 0
            || !PlainBytes.Part(header, 32, 16).SequenceEqual(logId))
        {
            return null;
        }

        entry = new PlainVhdxLogEntry(at, Ring(log, at, entry.Length));
        var dataAt = DescriptorSectors(entry.Descriptors) * Sector;
        if (dataAt > entry.Length || PlainVhdxBytes.Checksum(entry.Bytes, 4) != PlainVhdxBytes.Number(header, 4, 4))
        {
            return null;
        }

        for (long i = 0; i < entry.Descriptors; i++)
        {
            var descriptor = 64 + (i * 32);
            if (PlainVhdxBytes.Number(entry.Bytes, descriptor + 24, 8) != entry.Sequence)
            {
                return null;
            }

            if (PlainBytes.HasText(entry.Bytes, (int)descriptor, "zero"))
            {
                continue;
            }

            if (!PlainBytes.HasText(entry.Bytes, (int)descriptor, "desc") || dataAt + Sector > entry.Length || !PlainBytes.HasText(entry.Bytes, (int)dataAt, "data")
                || PlainVhdxBytes.Number(entry.Bytes, dataAt + 4, 4) != entry.Sequence >> 32
                || PlainVhdxBytes.Number(entry.Bytes, dataAt + 4092, 4) != entry.Sequence % 0x1_0000_0000)
            {
                return null;
            }

            dataAt += Sector;
        }

        return entry;
    }

    private static byte[] Ring(byte[] log, long at, long count)
    {
        var bytes = new byte[count];
        var beforeEnd = Math.Min(count, log.Length - at);
        Array.Copy(log, at, bytes, 0, beforeEnd);
        Array.Copy(log, 0, bytes, beforeEnd, count - beforeEnd);
        return bytes;
    }
}
