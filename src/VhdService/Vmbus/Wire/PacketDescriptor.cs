using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Vmbus.Wire;

/// <summary>What a packet on a ring is.</summary>
internal enum PacketType : ushort
{
    DataInBand = 6,
    DataUsingTransferPages = 7,
    DataUsingGpadl = 8,
    DataUsingGpaDirect = 9,
    Completion = 11,
}

/// <summary>The first 16 bytes of a packet.</summary>
internal readonly record struct PacketDescriptor(PacketType Type, int DataOffset, int Length, bool WantsCompletion, ulong TransactionId)
{
    public const int Size = 16; // bytes

    /// <summary>Bytes behind each packet: where it began, for whoever reads backwards.</summary>
    public const int TrailerSize = 8;

    public static PacketDescriptor Read(ReadOnlySpan<byte> bytes) => new(
        (PacketType)ReadUInt16LittleEndian(bytes),
        ReadUInt16LittleEndian(bytes[2..]) * 8,
        ReadUInt16LittleEndian(bytes[4..]) * 8,
        (ReadUInt16LittleEndian(bytes[6..]) & 1) != 0,
        ReadUInt64LittleEndian(bytes[8..]));

    public void Write(Span<byte> into)
    {
        WriteUInt16LittleEndian(into, (ushort)Type);
        WriteUInt16LittleEndian(into[2..], (ushort)(DataOffset / 8));
        WriteUInt16LittleEndian(into[4..], (ushort)(Length / 8));
        WriteUInt16LittleEndian(into[6..], WantsCompletion ? (ushort)1 : (ushort)0);
        WriteUInt64LittleEndian(into[8..], TransactionId);
    }
}
