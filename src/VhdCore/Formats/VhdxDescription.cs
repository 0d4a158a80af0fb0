using VhdCore.Storage;
using VhdCore.Vhdx;

namespace VhdCore.Formats;

/// <summary>Puts what is known of a VHDX into the words that users get.</summary>
internal static class VhdxDescription
{
    /// <summary>A VHDX.</summary>
    /// <param name="storage">Its file.</param>
    /// <param name="metadata">What its structures say.</param>
    /// <param name="parentPath">Where the parent was found; null takes the child's first name for it.</param>
    /// <param name="warnings">What is odd.</param>
    /// <param name="blocks">Blocks by state, where they were counted.</param>
    public static ImageInfo Of(
        IStorage storage, VhdxMetadata metadata, string? parentPath, IReadOnlyList<string> warnings, VhdxBlockCounts? blocks = null) => new()
        {
            Path = storage.Name,
            Format = ImageFormat.Vhdx,
            Kind = metadata.Kind,
            VirtualSize = metadata.VirtualSize,
            FileLength = storage.Length,
            AllocatedBytes = storage.Traits.AllocatedBytes?.Invoke(),
            BlockSize = (int)metadata.BlockSize,
            UniqueId = metadata.Header.DataWriteGuid,
            ParentPath = metadata.Parent is { } parent ? parentPath ?? (parent.Names.Count > 0 ? parent.Names[0] : null) : null,
            Warnings = warnings,
            Vhdx = Fields(metadata, blocks),
        };

    /// <summary>The counts that <see cref="VhdxBlockCounter"/> gives, by name.</summary>
    public static VhdxBlockCounts Counts(long[] byState) => new(
        byState[(int)PayloadBlockState.NotPresent],
        byState[(int)PayloadBlockState.Undefined],
        byState[(int)PayloadBlockState.Zero],
        byState[(int)PayloadBlockState.Unmapped] + byState[(int)PayloadBlockState.UnmappedInDrafts],
        byState[(int)PayloadBlockState.FullyPresent],
        byState[(int)PayloadBlockState.PartiallyPresent],
        byState[(int)PayloadBlockState.Reserved]);

    private static VhdxInfo Fields(VhdxMetadata metadata, VhdxBlockCounts? blocks)
    {
        var header = metadata.Header;
        return new VhdxInfo
        {
            Creator = metadata.Creator,
            Headers = [Header(metadata.Headers.First, header), Header(metadata.Headers.Second, header)],
            FileWriteGuid = header.FileWriteGuid,
            DataWriteGuid = header.DataWriteGuid,
            Log = new VhdxLogInfo((long)header.LogOffset, header.LogLength, header.LogGuid, metadata.Replay?.EntryCount ?? 0, metadata.Replay?.Updates.Count ?? 0),
            VirtualDiskId = metadata.VirtualDiskId,
            LogicalSectorSize = metadata.LogicalSectorSize,
            PhysicalSectorSize = metadata.PhysicalSectorSize,
            LeaveBlocksAllocated = metadata.LeaveBlocksAllocated,
            Regions = [.. metadata.Regions.Select(region => new VhdxRegionInfo(region.Id, (long)region.FileOffset, region.Length, region.IsRequired))],
            ParentLocator = metadata.Parent?.Entries ?? [],
            BlockCount = metadata.BatLayout.PayloadBlockCount,
            Blocks = blocks,
        };
    }

    private static VhdxHeaderInfo Header(VhdxHeader header, VhdxHeader current) =>
        new(header.IsValid, header.FileOffset == current.FileOffset, header.SequenceNumber);
}
