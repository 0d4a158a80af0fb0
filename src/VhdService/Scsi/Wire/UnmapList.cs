using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Scsi.Wire;

/// <summary>The parameters of UNMAP (SBC-3, 5.28.2): a header of 8 bytes, then descriptors of 16.</summary>
internal readonly ref struct UnmapList(ReadOnlySpan<byte> bytes)
{
    public const int HeaderSize = 8; // bytes
    public const int DescriptorSize = 16; // bytes
    public const int MaxDescriptors = 256;
    public const int MaxSize = HeaderSize + (MaxDescriptors * DescriptorSize);

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    /// <summary>Whole descriptors, as far as both the header's length and the bytes go.</summary>
    public int Count => Math.Min(ReadUInt16BigEndian(_bytes[2..]), _bytes.Length - HeaderSize) / DescriptorSize;

    /// <summary>A descriptor's first block.</summary>
    public ulong Lba(int index) => ReadUInt64BigEndian(_bytes[(HeaderSize + (index * DescriptorSize))..]);

    /// <summary>A descriptor's number of blocks.</summary>
    public uint BlockCount(int index) => ReadUInt32BigEndian(_bytes[(HeaderSize + (index * DescriptorSize) + 8)..]);
}
