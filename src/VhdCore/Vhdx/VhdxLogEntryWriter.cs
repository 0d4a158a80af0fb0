using System.Buffers.Binary;
using VhdCore.Primitives;

namespace VhdCore.Vhdx;

/// <summary>A page of metadata as it shall stand in the file.</summary>
/// <param name="FileOffset">Bytes from the file's start; a multiple of 4096.</param>
/// <param name="Bytes">4096 of them.</param>
internal readonly record struct VhdxPageImage(long FileOffset, byte[] Bytes);

/// <summary>Lays a log entry out: header and descriptors, then a sector for each page ([MS-VHDX] "Log Entry").</summary>
internal static class VhdxLogEntryWriter
{
    public const int SectorSize = 4096; // bytes

    private const int HeaderSize = 64; // bytes
    private const int DescriptorSize = 32; // bytes
    private const int LeadingSize = 8; // bytes of a page that its descriptor holds
    private const int TrailingSize = 4; // bytes of a page that its descriptor holds

    /// <summary>Sectors that an entry with so many pages takes.</summary>
    public static int SectorCount(int pageCount) => DescriptorSectors(pageCount) + pageCount;

    /// <summary>Writes an entry, its checksum last.</summary>
    /// <param name="entry">Zeroed; as many sectors as <see cref="SectorCount"/> says.</param>
    /// <param name="header">What its header says.</param>
    /// <param name="pages">The pages.</param>
    public static void Write(Span<byte> entry, in VhdxLogEntryValues header, IReadOnlyList<VhdxPageImage> pages)
    {
        "loge"u8.CopyTo(entry);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], (uint)entry.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], header.Tail);
        BinaryPrimitives.WriteUInt64LittleEndian(entry[16..], header.SequenceNumber);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[24..], (uint)pages.Count);
        header.LogGuid.TryWriteBytes(entry[32..]);
        BinaryPrimitives.WriteUInt64LittleEndian(entry[48..], (ulong)header.FlushedFileOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(entry[56..], (ulong)header.LastFileOffset);

        var data = entry[(DescriptorSectors(pages.Count) * SectorSize)..];
        for (var i = 0; i < pages.Count; i++)
        {
            WriteDescriptor(entry[(HeaderSize + (i * DescriptorSize))..], pages[i], header.SequenceNumber);
            WriteData(data[(i * SectorSize)..], pages[i].Bytes, header.SequenceNumber);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], Crc32C.Of(entry));
    }

    private static void WriteDescriptor(Span<byte> descriptor, VhdxPageImage page, ulong sequenceNumber)
    {
        "desc"u8.CopyTo(descriptor);
        page.Bytes.AsSpan(SectorSize - TrailingSize).CopyTo(descriptor[4..]);
        page.Bytes.AsSpan(0, LeadingSize).CopyTo(descriptor[8..]);
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor[16..], (ulong)page.FileOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor[24..], sequenceNumber);
    }

    private static void WriteData(Span<byte> sector, ReadOnlySpan<byte> page, ulong sequenceNumber)
    {
        "data"u8.CopyTo(sector);
        BinaryPrimitives.WriteUInt32LittleEndian(sector[4..], (uint)(sequenceNumber >> 32));
        page[LeadingSize..^TrailingSize].CopyTo(sector[LeadingSize..]);
        BinaryPrimitives.WriteUInt32LittleEndian(sector[(SectorSize - TrailingSize)..], (uint)sequenceNumber);
    }

    private static int DescriptorSectors(int pageCount) => (HeaderSize + (pageCount * DescriptorSize) + SectorSize - 1) / SectorSize;
}

/// <summary>What a log entry's header says beside its size.</summary>
/// <param name="LogGuid">The session's.</param>
/// <param name="SequenceNumber">Its number.</param>
/// <param name="Tail">Bytes from the log's start to the oldest entry that a replay needs.</param>
/// <param name="FlushedFileOffset">Bytes that the file is known to have durably; a multiple of 1 MiB.</param>
/// <param name="LastFileOffset">Bytes that the file must have for all that the entry's tables point at; a multiple of 1 MiB.</param>
internal readonly record struct VhdxLogEntryValues(Guid LogGuid, ulong SequenceNumber, uint Tail, long FlushedFileOffset, long LastFileOffset);
