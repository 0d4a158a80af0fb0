using System.Buffers.Binary;

namespace VhdCore.Vhdx;

/// <summary>A zero descriptor or a data descriptor of a log entry ([MS-VHDX] §2.3.1.2 and §2.3.1.3).</summary>
internal readonly ref struct VhdxLogDescriptorView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 32; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public bool IsZero => _bytes.StartsWith("zero"u8);
    public bool IsData => _bytes.StartsWith("desc"u8);

    /// <summary>The last four bytes of a data descriptor's sector.</summary>
    public uint TrailingBytes => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[4..]);

    /// <summary>The first eight bytes of a data descriptor's sector.</summary>
    public ulong LeadingBytes => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[8..]);

    /// <summary>Bytes that a zero descriptor clears.</summary>
    public ulong ZeroLength => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[8..]);

    /// <summary>Bytes from the file's start to what is updated.</summary>
    public ulong FileOffset => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[16..]);

    public ulong SequenceNumber => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[24..]);
}
