using System.Buffers.Binary;

namespace VhdCore.Vhd;

/// <summary>Writes a dynamic disk header ("Dynamic Disk Header Format").</summary>
internal static class VhdDynamicHeaderWriter
{
    /// <summary>Fills <paramref name="into"/>, 1024 bytes, from the fields; the checksum is computed. A parent's name is cut to 255 characters.</summary>
    public static void Write(VhdDynamicHeader header, Span<byte> into)
    {
        var bytes = into[..VhdLayout.HeaderSize];
        bytes.Clear();
        "cxsparse"u8.CopyTo(bytes);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], header.DataOffset);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[16..], header.TableOffset);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[24..], header.HeaderVersion);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[28..], header.MaxTableEntries);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[32..], header.BlockSize);
        header.ParentUniqueId.TryWriteBytes(bytes[VhdDynamicHeaderView.ParentUniqueIdOffset..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[56..], header.ParentTimestamp);
        WriteName(header.ParentUnicodeName, bytes.Slice(VhdDynamicHeaderView.ParentUnicodeNameOffset, VhdDynamicHeaderView.ParentUnicodeNameSize));
        for (var i = 0; i < Math.Min(header.ParentLocators.Count, VhdDynamicHeaderView.ParentLocatorCount); i++)
        {
            WriteParentLocator(
                header.ParentLocators[i],
                bytes.Slice(VhdDynamicHeaderView.ParentLocatorsOffset + (i * VhdDynamicHeaderView.ParentLocatorSize), VhdDynamicHeaderView.ParentLocatorSize));
        }

        WriteChecksum(bytes);
    }

    /// <summary>Sums a header anew after its bytes were changed.</summary>
    public static void WriteChecksum(Span<byte> header) =>
        BinaryPrimitives.WriteUInt32BigEndian(header[VhdDynamicHeaderView.ChecksumOffset..], new VhdDynamicHeaderView(header).ComputeChecksum());

    private static void WriteParentLocator(VhdParentLocatorEntry entry, Span<byte> into)
    {
        BinaryPrimitives.WriteUInt32BigEndian(into, entry.PlatformCode);
        BinaryPrimitives.WriteUInt32BigEndian(into[4..], entry.PlatformDataSpace);
        BinaryPrimitives.WriteUInt32BigEndian(into[8..], entry.PlatformDataLength);
        BinaryPrimitives.WriteUInt64BigEndian(into[16..], entry.PlatformDataOffset);
    }

    // The last character stays NUL: readers differ on whether a name that fills the field is terminated.
    private static void WriteName(string name, Span<byte> into)
    {
        for (var i = 0; i < Math.Min(name.Length, (into.Length / 2) - 1); i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(into[(i * 2)..], name[i]);
        }
    }
}
