using System.Buffers.Binary;

namespace VhdCore.Vhdx;

/// <summary>The first 64 KiB of the metadata region: which items there are ([MS-VHDX] §2.6.1).</summary>
internal readonly ref struct VhdxMetadataTableView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 64 << 10; // bytes
    public const int HeaderSize = 32; // bytes
    public const int EntrySize = 32; // bytes
    public const int MaxEntryCount = 2047;
    public const int MaxUserEntryCount = 1024;
    public const int MaxItemSize = 1 << 20; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public bool HasSignature => _bytes.StartsWith("metadata"u8);
    public ushort EntryCount => BinaryPrimitives.ReadUInt16LittleEndian(_bytes[10..]);

    /// <summary>The entry at an index below <see cref="MaxEntryCount"/> ([MS-VHDX] §2.6.1.2).</summary>
    public VhdxMetadataEntry Entry(int index)
    {
        var entry = _bytes.Slice(HeaderSize + (index * EntrySize), EntrySize);
        return new VhdxMetadataEntry(
            ItemId: new Guid(entry[..16], bigEndian: false),
            Offset: BinaryPrimitives.ReadUInt32LittleEndian(entry[16..]),
            Length: BinaryPrimitives.ReadUInt32LittleEndian(entry[20..]),
            Flags: BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]));
    }
}

/// <summary>An entry of the metadata table.</summary>
/// <param name="ItemId">Which item; unique together with <see cref="IsUser"/>.</param>
/// <param name="Offset">Bytes from the metadata region's start, at least 64 KiB; 0 for an empty item.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Flags">As they stand in the file.</param>
internal readonly record struct VhdxMetadataEntry(Guid ItemId, uint Offset, uint Length, uint Flags)
{
    /// <summary>A user's item rather than the system's.</summary>
    public bool IsUser => (Flags & 1) != 0;

    /// <summary>It belongs to the virtual disk: copied to children, and moved to the parent by a merge.</summary>
    public bool IsVirtualDisk => (Flags & 2) != 0;

    /// <summary>Who does not know it must not use the file.</summary>
    public bool IsRequired => (Flags & 4) != 0;
}
