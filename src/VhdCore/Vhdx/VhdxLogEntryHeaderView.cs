using System.Buffers.Binary;

namespace VhdCore.Vhdx;

/// <summary>The first 64 bytes of a log entry ([MS-VHDX] §2.3.1.1).</summary>
internal readonly ref struct VhdxLogEntryHeaderView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 64; // bytes
    public const int ChecksumOffset = 4;

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public bool HasSignature => _bytes.StartsWith("loge"u8);
    public uint Checksum => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[ChecksumOffset..]);
    public uint EntryLength => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[8..]);
    public uint Tail => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[12..]);
    public ulong SequenceNumber => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[16..]);
    public uint DescriptorCount => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[24..]); // the specification's diagram has four bytes, its text says eight
    public Guid LogGuid => new(_bytes.Slice(32, 16), bigEndian: false);
    public ulong FlushedFileOffset => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[48..]);
    public ulong LastFileOffset => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[56..]);
}
