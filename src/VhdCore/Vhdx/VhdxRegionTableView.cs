using System.Buffers.Binary;
using VhdCore.Primitives;

namespace VhdCore.Vhdx;

/// <summary>One of two copies of the region table, at 192 KiB and 256 KiB ([MS-VHDX] §2.2.3).</summary>
internal readonly ref struct VhdxRegionTableView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 64 << 10; // bytes
    public const int ChecksumOffset = 4;
    public const int HeaderSize = 16; // bytes
    public const int EntrySize = 32; // bytes
    public const int MaxEntryCount = 2047;

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public bool HasSignature => _bytes.StartsWith("regi"u8);
    public uint Checksum => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[ChecksumOffset..]);
    public uint EntryCount => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[8..]);

    /// <summary>The entry at an index below <see cref="MaxEntryCount"/> ([MS-VHDX] §2.2.3.2).</summary>
    public VhdxRegion Entry(int index)
    {
        var entry = _bytes.Slice(HeaderSize + (index * EntrySize), EntrySize);
        return new VhdxRegion(
            Id: new Guid(entry[..16], bigEndian: false),
            FileOffset: BinaryPrimitives.ReadUInt64LittleEndian(entry[16..]),
            Length: BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]),
            IsRequired: (BinaryPrimitives.ReadUInt32LittleEndian(entry[28..]) & 1) != 0);
    }

    public uint ComputeChecksum() => Crc32C.ExcludingField(_bytes, ChecksumOffset);
}

/// <summary>A region: a run of the file that the region table names.</summary>
/// <param name="Id">Which; see <see cref="VhdxKnownIds"/>.</param>
/// <param name="FileOffset">Bytes from the file's start.</param>
/// <param name="Length">Bytes.</param>
/// <param name="IsRequired">Who does not know it must not use the file.</param>
internal readonly record struct VhdxRegion(Guid Id, ulong FileOffset, uint Length, bool IsRequired)
{
    /// <summary>What to call it in messages.</summary>
    public string Name => Id == VhdxKnownIds.BatRegion ? "BAT" : Id == VhdxKnownIds.MetadataRegion ? "metadata region" : $"region {Id}";
}
