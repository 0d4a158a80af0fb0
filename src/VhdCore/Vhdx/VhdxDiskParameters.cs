using System.Buffers.Binary;
using System.Numerics;
using VhdCore.Errors;

namespace VhdCore.Vhdx;

/// <summary>Judges the items that say what disk it is ([MS-VHDX] §2.6.2).</summary>
internal static class VhdxDiskParameters
{
    private const int SmallestSector = 512;
    private const int LargestSector = 4096;

    /// <summary>The metadata with the disk's parameters; null when a finding says why there are none that can be.</summary>
    public static VhdxMetadata? Judge(VhdxMetadata draft, IReadOnlyDictionary<Guid, VhdxItem> items, FindingList findings)
    {
        var parameters = Find(items, VhdxKnownIds.FileParameters, "file parameters", 8, draft, findings);
        var size = Find(items, VhdxKnownIds.VirtualDiskSize, "virtual disk size", 8, draft, findings);
        var logicalSector = Find(items, VhdxKnownIds.LogicalSectorSize, "logical sector size", 4, draft, findings);
        if (parameters is null || size is null || logicalSector is null)
        {
            return null;
        }

        var blockSize = BinaryPrimitives.ReadUInt32LittleEndian(parameters.Bytes);
        var flags = BinaryPrimitives.ReadUInt32LittleEndian(parameters.Bytes.AsSpan(4));
        var diskSize = BinaryPrimitives.ReadUInt64LittleEndian(size.Bytes);
        var sectorSize = BinaryPrimitives.ReadUInt32LittleEndian(logicalSector.Bytes);
        if (sectorSize is not (SmallestSector or LargestSector))
        {
            findings.Corrupt(
                VhdxFindingId.SectorSize, "logical sector size", logicalSector.FileOffset,
                $"The logical sector size is {sectorSize} bytes; it can be {SmallestSector} or {LargestSector}.");
        }
        else if (diskSize == 0 || diskSize > VhdxLayout.MaxDiskSize || diskSize % sectorSize != 0)
        {
            findings.Corrupt(
                VhdxFindingId.DiskSize, "virtual disk size", size.FileOffset,
                $"The disk has {diskSize} bytes; that must be a multiple of its {sectorSize}-byte sectors, and at most {VhdxLayout.MaxDiskSize}.");
        }

        if (!BitOperations.IsPow2(blockSize) || blockSize < VhdxLayout.MinBlockSize || blockSize > VhdxLayout.MaxBlockSize)
        {
            findings.Corrupt(
                VhdxFindingId.BlockSize, "file parameters", parameters.FileOffset,
                $"The block size is {blockSize} bytes; it must be a power of two from {VhdxLayout.MinBlockSize} to {VhdxLayout.MaxBlockSize}.");
        }

        if ((flags & ~3U) != 0)
        {
            findings.Warn(
                VhdxFindingId.FileParameterFlags, "file parameters", parameters.FileOffset + 4,
                $"The file parameters' flags are 0x{flags:X8}; only the lowest two have a meaning here.", FindingRefusal.Writing);
        }

        if (!findings.CanGoOn)
        {
            return null;
        }

        var metadata = draft with
        {
            BlockSize = blockSize,
            LeaveBlocksAllocated = (flags & 1) != 0,
            VirtualSize = (long)diskSize,
            LogicalSectorSize = (int)sectorSize,
            PhysicalSectorSize = JudgePhysicalSector(draft, items, findings),
            VirtualDiskId = JudgeDiskId(draft, items, findings),
            Parent = VhdxParentLocatorReader.Judge(hasParent: (flags & 2) != 0, parameters.FileOffset, items, findings),
        };
        JudgeTableSize(metadata, findings);
        return findings.CanGoOn ? metadata : null;
    }

    private static VhdxItem? Find(
        IReadOnlyDictionary<Guid, VhdxItem> items, Guid id, string name, int size, VhdxMetadata draft, FindingList findings)
    {
        if (items.TryGetValue(id, out var item) && item.Bytes.Length >= size)
        {
            return item;
        }

        findings.Corrupt(
            VhdxFindingId.MetadataItemMissing, name, item?.FileOffset ?? (long)draft.MetadataRegion.FileOffset,
            item is null ? $"The {name} item ({id}) is missing: nothing can be read without it." : $"The {name} item has {item.Bytes.Length} bytes, too few.");
        return null;
    }

    private static int JudgePhysicalSector(VhdxMetadata draft, IReadOnlyDictionary<Guid, VhdxItem> items, FindingList findings)
    {
        if (!items.TryGetValue(VhdxKnownIds.PhysicalSectorSize, out var item) || item.Bytes.Length < 4)
        {
            findings.Warn(
                VhdxFindingId.MetadataItemMissing, "physical sector size", (long)draft.MetadataRegion.FileOffset,
                $"The physical sector size item is missing; {LargestSector} bytes are assumed.");
            return LargestSector;
        }

        var size = BinaryPrimitives.ReadUInt32LittleEndian(item.Bytes);
        if (size is SmallestSector or LargestSector)
        {
            return (int)size;
        }

        findings.Warn(
            VhdxFindingId.SectorSize, "physical sector size", item.FileOffset,
            $"The physical sector size is {size} bytes; it can be {SmallestSector} or {LargestSector}, and the latter is assumed.");
        return LargestSector;
    }

    private static Guid? JudgeDiskId(VhdxMetadata draft, IReadOnlyDictionary<Guid, VhdxItem> items, FindingList findings)
    {
        if (items.TryGetValue(VhdxKnownIds.VirtualDiskId, out var item) && item.Bytes.Length >= 16)
        {
            return new Guid(item.Bytes.AsSpan(0, 16), bigEndian: false);
        }

        findings.Warn(
            VhdxFindingId.MetadataItemMissing, "virtual disk id", (long)draft.MetadataRegion.FileOffset,
            "The virtual disk id item is missing; other programs may refuse the image.");
        return null;
    }

    private static void JudgeTableSize(VhdxMetadata metadata, FindingList findings)
    {
        var layout = metadata.BatLayout;
        var entries = metadata.BatRegion.Length / VhdxLayout.BatEntrySize;
        var needed = layout.PayloadBlockCount + layout.ChunkCount - 1;
        if (entries < needed)
        {
            findings.Corrupt(
                VhdxFindingId.BatTooSmall, "BAT", (long)metadata.BatRegion.FileOffset,
                $"The BAT has room for {entries} entries, and the disk of {metadata.VirtualSize} bytes in blocks of {metadata.BlockSize} needs {needed}.");
        }
        else if (entries < layout.EntryCount)
        {
            findings.Warn(
                VhdxFindingId.BatTooSmall, "BAT", (long)metadata.BatRegion.FileOffset,
                $"The BAT has room for {entries} entries, and a differencing disk of {metadata.VirtualSize} bytes in blocks of {metadata.BlockSize} needs {layout.EntryCount}: " +
                "the last chunk can have no sector bitmap.", FindingRefusal.Writing);
        }
    }
}
