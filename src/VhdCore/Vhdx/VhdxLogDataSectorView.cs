using System.Buffers.Binary;

namespace VhdCore.Vhdx;

/// <summary>
/// A data sector of a log entry ([MS-VHDX] §2.3.1.4). Bytes 8 to 4091 are the update's own; its first eight and last four stand in the descriptor.
/// </summary>
internal readonly ref struct VhdxLogDataSectorView(ReadOnlySpan<byte> bytes)
{
    public const int LeadingSize = 8; // bytes
    public const int TrailingOffset = 4092;

    private readonly ReadOnlySpan<byte> _bytes = bytes[..VhdxLayout.LogSectorSize];

    public bool HasSignature => _bytes.StartsWith("data"u8);

    public ulong SequenceNumber =>
        ((ulong)BinaryPrimitives.ReadUInt32LittleEndian(_bytes[4..]) << 32) | BinaryPrimitives.ReadUInt32LittleEndian(_bytes[TrailingOffset..]);
}
