using System.Buffers.Binary;
using System.Text;
using VhdCore.Formats;
using VhdCore.Primitives;

namespace VhdCore.Vhdx;

/// <summary>Lays out the file type identifier, a region table, and a metadata region ([MS-VHDX] §2.2.1, §2.2.3 and §2.6).</summary>
internal static class VhdxMetadataWriter
{
    private const uint IsVirtualDisk = 2;
    private const uint IsRequired = 4;

    /// <summary>Fills the file type identifier.</summary>
    public static void WriteFileTypeIdentifier(Span<byte> bytes, string creator)
    {
        "vhdxfile"u8.CopyTo(bytes);
        Encoding.Unicode.GetBytes(creator).CopyTo(bytes[8..]);
    }

    /// <summary>Fills a region table with the two regions there are, the checksum last.</summary>
    public static void WriteRegionTable(Span<byte> bytes, long batOffset, uint batLength, long metadataOffset, uint metadataLength)
    {
        bytes = bytes[..VhdxRegionTableView.Size];
        "regi"u8.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], 2);
        WriteEntry(bytes[VhdxRegionTableView.HeaderSize..], VhdxKnownIds.BatRegion, batOffset, batLength);
        WriteEntry(bytes[(VhdxRegionTableView.HeaderSize + VhdxRegionTableView.EntrySize)..], VhdxKnownIds.MetadataRegion, metadataOffset, metadataLength);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], Crc32C.Of(bytes));

        static void WriteEntry(Span<byte> entry, Guid id, long offset, uint length)
        {
            id.TryWriteBytes(entry);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[16..], (ulong)offset);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[24..], length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[28..], 1);
        }
    }

    /// <summary>The metadata region's used part: the table, then the items in the order and places that Hyper-V gives them.</summary>
    public static byte[] Metadata(VhdxCreateParameters parameters)
    {
        var fileParameters = new byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(fileParameters, parameters.BlockSize);
        var flags = (parameters.Kind == ImageKind.Fixed ? 1u : 0) | (parameters.Kind == ImageKind.Differencing ? 2u : 0);
        BinaryPrimitives.WriteUInt32LittleEndian(fileParameters.AsSpan(4), flags);
        var size = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(size, (ulong)parameters.Size);

        var items = new List<(Guid Id, byte[] Value, uint Flags)>
        {
            (VhdxKnownIds.FileParameters, fileParameters, IsRequired),
            (VhdxKnownIds.VirtualDiskSize, size, IsRequired | IsVirtualDisk),
            (VhdxKnownIds.LogicalSectorSize, Number(parameters.LogicalSectorSize), IsRequired | IsVirtualDisk),
            (VhdxKnownIds.PhysicalSectorSize, Number(parameters.PhysicalSectorSize), IsRequired | IsVirtualDisk),
            (VhdxKnownIds.VirtualDiskId, parameters.VirtualDiskId.ToByteArray(), IsRequired | IsVirtualDisk),
        };
        items.AddRange(parameters.DiskItems.Select(item => (item.Id, item.Bytes, item.Flags)));
        if (parameters.Kind == ImageKind.Differencing)
        {
            items.Add((VhdxKnownIds.ParentLocator, ParentLocator(parameters.ParentLocator), IsRequired));
        }

        var region = new byte[VhdxMetadataTableView.Size + items.Sum(item => item.Value.Length)];
        "metadata"u8.CopyTo(region);
        BinaryPrimitives.WriteUInt16LittleEndian(region.AsSpan(10), (ushort)items.Count);
        var offset = VhdxMetadataTableView.Size;
        for (var i = 0; i < items.Count; i++)
        {
            var entry = region.AsSpan(VhdxMetadataTableView.HeaderSize + (i * VhdxMetadataTableView.EntrySize));
            items[i].Id.TryWriteBytes(entry);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], items[i].Value.Length == 0 ? 0 : (uint)offset);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[20..], (uint)items[i].Value.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[24..], items[i].Flags);
            items[i].Value.CopyTo(region, offset);
            offset += items[i].Value.Length;
        }

        return region;
    }

    /// <summary>A parent locator item: its type, and keys with their values in UTF-16 ([MS-VHDX] §2.6.2.6).</summary>
    public static byte[] ParentLocator(IReadOnlyList<KeyValuePair<string, string>> pairs)
    {
        var texts = pairs.Select(pair => (Key: Encoding.Unicode.GetBytes(pair.Key), Value: Encoding.Unicode.GetBytes(pair.Value))).ToList();
        var offset = VhdxParentLocatorView.HeaderSize + (pairs.Count * VhdxParentLocatorView.EntrySize);
        var item = new byte[offset + texts.Sum(text => text.Key.Length + text.Value.Length)];
        VhdxKnownIds.VhdxParentLocator.TryWriteBytes(item);
        BinaryPrimitives.WriteUInt16LittleEndian(item.AsSpan(18), checked((ushort)pairs.Count));
        for (var i = 0; i < texts.Count; i++)
        {
            var (key, value) = texts[i];
            var entry = item.AsSpan(VhdxParentLocatorView.HeaderSize + (i * VhdxParentLocatorView.EntrySize));
            BinaryPrimitives.WriteUInt32LittleEndian(entry, (uint)offset);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], (uint)(offset + key.Length));
            BinaryPrimitives.WriteUInt16LittleEndian(entry[8..], checked((ushort)key.Length));
            BinaryPrimitives.WriteUInt16LittleEndian(entry[10..], checked((ushort)value.Length));
            key.CopyTo(item, offset);
            value.CopyTo(item, offset + key.Length);
            offset += key.Length + value.Length;
        }

        return item;
    }

    private static byte[] Number(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        return bytes;
    }
}
