namespace VhdCore.Testing.Independent;

/// <summary>Puts entries into an image's log byte by byte, sharing no code with the library.</summary>
/// <param name="image">The file; grows never.</param>
/// <param name="logOffset">Bytes from the file's start to the log.</param>
/// <param name="logSize">Bytes of log.</param>
/// <param name="logId">What the entries are marked with.</param>
internal sealed class PlainVhdxLogWriter(byte[] image, long logOffset, long logSize, byte[] logId)
{
    private const int Sector = 4096;

    /// <summary>Bytes from the log's start to where the next entry goes.</summary>
    public long Head { get; set; }

    public ulong Sequence { get; set; } = 1;

    /// <summary>What entries give as the tail; null for themselves.</summary>
    public long? Tail { get; set; }

    public ulong Flushed { get; set; } = (ulong)image.Length;

    public ulong Last { get; set; } = (ulong)image.Length;

    /// <summary>Sectors of nothing behind an entry's data, as for disks with larger sectors.</summary>
    public int Padding { get; set; }

    /// <summary>Writes one entry and moves on behind it.</summary>
    /// <param name="updates">Where, and 4096 bytes, or how many zeros.</param>
    /// <returns>Bytes from the log's start to the entry.</returns>
    public long Add(params (long Offset, byte[]? Content, long ZeroLength)[] updates)
    {
        var at = Head;
        var entry = MakeEntry(updates);
        for (long i = 0; i < entry.Length; i++)
        {
            image[logOffset + ((at + i) % logSize)] = entry[i];
        }

        Head = (at + entry.Length) % logSize;
        Sequence++;
        return at;
    }

    /// <summary>Moves part of the image's content into an entry's update, and leaves the place with <paramref name="old"/> bytes.</summary>
    public (long Offset, byte[]? Content, long ZeroLength) Take(long offset, byte old)
    {
        var content = new byte[Sector];
        Array.Copy(image, offset, content, 0, Sector);
        Array.Fill(image, old, (int)offset, Sector);
        return (offset, content, 0);
    }

    /// <summary>Marks both headers as having this log to replay.</summary>
    public void MarkDirty()
    {
        foreach (var header in new[] { 65536, 131072 })
        {
            Array.Copy(logId, 0, image, header + 48, 16);
            PlainVhdxBytes.Mend(image, header, 4096);
        }
    }

    private byte[] MakeEntry((long Offset, byte[]? Content, long ZeroLength)[] updates)
    {
        var descriptorSectors = PlainVhdxLog.DescriptorSectors(updates.Length);
        var data = updates.Where(update => update.Content is not null).Select(update => update.Content!).ToArray();
        var entry = new byte[(descriptorSectors + data.Length + Padding) * Sector];
        PlainWriting.Text(entry, 0, "loge");
        PlainVhdxBytes.Number(entry, 8, (ulong)entry.Length, 4);
        PlainVhdxBytes.Number(entry, 12, (ulong)(Tail ?? Head), 4);
        PlainVhdxBytes.Number(entry, 16, Sequence, 8);
        PlainVhdxBytes.Number(entry, 24, (ulong)updates.Length, 4);
        Array.Copy(logId, 0, entry, 32, 16);
        PlainVhdxBytes.Number(entry, 48, Flushed, 8);
        PlainVhdxBytes.Number(entry, 56, Last, 8);
        for (var i = 0; i < updates.Length; i++)
        {
            var at = 64 + (i * 32);
            var (offset, content, zeroLength) = updates[i];
            PlainWriting.Text(entry, at, content is null ? "zero" : "desc");
            if (content is null)
            {
                PlainVhdxBytes.Number(entry, at + 8, (ulong)zeroLength, 8);
            }
            else
            {
                Array.Copy(content, 4092, entry, at + 4, 4);
                Array.Copy(content, 0, entry, at + 8, 8);
            }

            PlainVhdxBytes.Number(entry, at + 16, (ulong)offset, 8);
            PlainVhdxBytes.Number(entry, at + 24, Sequence, 8);
        }

        for (var i = 0; i < data.Length; i++)
        {
            var at = (descriptorSectors + i) * Sector;
            Array.Copy(data[i], 0, entry, at, Sector);
            PlainWriting.Text(entry, (int)at, "data");
            PlainVhdxBytes.Number(entry, at + 4, Sequence >> 32, 4);
            PlainVhdxBytes.Number(entry, at + 4092, Sequence % 0x1_0000_0000, 4);
        }

        PlainVhdxBytes.Number(entry, 4, PlainVhdxBytes.Checksum(entry, 4), 4);
        return entry;
    }
}
