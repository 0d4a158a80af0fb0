using System.Buffers.Binary;
using VhdCore.Primitives;

namespace VhdCore.Vhdx;

/// <summary>One of two headers, at 64 KiB and 128 KiB ([MS-VHDX] §2.2.2).</summary>
internal readonly ref struct VhdxHeaderView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 4096; // bytes
    public const int ChecksumOffset = 4;

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public bool HasSignature => _bytes.StartsWith("head"u8);
    public uint Checksum => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[ChecksumOffset..]);
    public ulong SequenceNumber => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[8..]);
    public Guid FileWriteGuid => new(_bytes.Slice(16, 16), bigEndian: false);
    public Guid DataWriteGuid => new(_bytes.Slice(32, 16), bigEndian: false);
    public Guid LogGuid => new(_bytes.Slice(48, 16), bigEndian: false);
    public ushort LogVersion => BinaryPrimitives.ReadUInt16LittleEndian(_bytes[64..]);
    public ushort Version => BinaryPrimitives.ReadUInt16LittleEndian(_bytes[66..]);
    public uint LogLength => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[68..]);
    public ulong LogOffset => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[72..]);

    public uint ComputeChecksum() => Crc32C.ExcludingField(_bytes, ChecksumOffset);

    /// <summary>The fields as a value that outlives the bytes.</summary>
    public VhdxHeader ToHeader(long fileOffset) => new()
    {
        FileOffset = fileOffset,
        HasSignature = HasSignature,
        ChecksumIsValid = Checksum == ComputeChecksum(),
        SequenceNumber = SequenceNumber,
        FileWriteGuid = FileWriteGuid,
        DataWriteGuid = DataWriteGuid,
        LogGuid = LogGuid,
        LogVersion = LogVersion,
        Version = Version,
        LogLength = LogLength,
        LogOffset = LogOffset,
    };
}
