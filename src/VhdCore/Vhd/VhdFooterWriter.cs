using System.Buffers.Binary;
using System.Diagnostics;

namespace VhdCore.Vhd;

/// <summary>Writes a footer ("Hard Disk Footer Format").</summary>
internal static class VhdFooterWriter
{
    /// <summary>Fills <paramref name="into"/>, 512 bytes, from the fields; the checksum is computed, whatever the fields say.</summary>
    public static void Write(VhdFooter footer, Span<byte> into)
    {
        Debug.Assert(!footer.IsPoisoned, "nothing here disables an image");
        var bytes = into[..VhdLayout.FooterSize];
        bytes.Clear();
        "conectix"u8.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[8..], footer.Features);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[12..], footer.FileFormatVersion);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[16..], footer.DataOffset);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[24..], footer.Timestamp);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[28..], footer.CreatorApplication);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[32..], footer.CreatorVersion);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[36..], footer.CreatorHostOs);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[40..], footer.OriginalSize);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[48..], footer.CurrentSize);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[56..], footer.Geometry.Cylinders);
        bytes[58] = footer.Geometry.Heads;
        bytes[59] = footer.Geometry.SectorsPerTrack;
        BinaryPrimitives.WriteUInt32BigEndian(bytes[60..], (uint)footer.DiskType);
        footer.UniqueId.TryWriteBytes(bytes[VhdFooterView.UniqueIdOffset..], bigEndian: true, out _);
        bytes[VhdFooterView.SavedStateOffset] = footer.SavedState ? (byte)1 : (byte)0;
        bytes[VhdFooterView.HiddenOffset] = footer.IsHidden ? (byte)1 : (byte)0;
        WriteChecksum(bytes);
    }

    /// <summary>Sums a footer anew after its bytes were changed.</summary>
    public static void WriteChecksum(Span<byte> footer) =>
        BinaryPrimitives.WriteUInt32BigEndian(footer[VhdFooterView.ChecksumOffset..], new VhdFooterView(footer).ComputeChecksum());
}
