using System.Buffers.Binary;
using VhdCore.Primitives;

namespace VhdCore.Vhdx;

/// <summary>Writes one of the two headers ([MS-VHDX] §2.2.2).</summary>
internal static class VhdxHeaderWriter
{
    /// <summary>Fills the header's 4096 bytes, the checksum last.</summary>
    public static void Write(Span<byte> bytes, VhdxHeader header)
    {
        bytes = bytes[..VhdxHeaderView.Size];
        bytes.Clear();
        "head"u8.CopyTo(bytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], header.SequenceNumber);
        header.FileWriteGuid.TryWriteBytes(bytes[16..]);
        header.DataWriteGuid.TryWriteBytes(bytes[32..]);
        header.LogGuid.TryWriteBytes(bytes[48..]);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[64..], header.LogVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[66..], header.Version);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[68..], header.LogLength);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[72..], header.LogOffset);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[VhdxHeaderView.ChecksumOffset..], Crc32C.Of(bytes));
    }
}
