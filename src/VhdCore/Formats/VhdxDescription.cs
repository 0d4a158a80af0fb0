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

    /// <summary>A VHDX whose structures do not say what disk it is.</summary>
    /// <param name="storage">Its file.</param>
    /// <param name="glimpse">What can be told.</param>
    /// <param name="warnings">Why it is refused.</param>
    public static ImageInfo OfUnknown(IStorage storage, VhdxGlimpse glimpse, IReadOnlyList<string> warnings)
    {
        var header = glimpse.Headers.Current;
        return new()
        {
            Path = storage.Name,
            Format = ImageFormat.Vhdx,
            Kind = ImageKind.Dynamic,
            VirtualSize = 0,
            FileLength = storage.Length,
            AllocatedBytes = storage.Traits.AllocatedBytes?.Invoke(),
            UniqueId = header?.DataWriteGuid,
            IsRefused = true,
            Warnings = warnings,
            Vhdx = new VhdxInfo
            {
                Creator = glimpse.Creator,
                Headers = Headers(glimpse.Headers),
                FileWriteGuid = header?.FileWriteGuid ?? Guid.Empty,
                DataWriteGuid = header?.DataWriteGuid ?? Guid.Empty,
                Log = header is null ? new VhdxLogInfo(VhdxLogState.Unreplayable, 0, 0, Guid.Empty, 0, 0) : Log(header, glimpse.Replay),
                LogicalSectorSize = 0,
                PhysicalSectorSize = 0,
                LeaveBlocksAllocated = false,
                Regions = [],
                BlockCount = 0,
            },
        };
    }

    private static VhdxInfo Fields(VhdxMetadata metadata, VhdxBlockCounts? blocks) => new()
    {
        Creator = metadata.Creator,
        Headers = Headers(metadata.Headers),
        FileWriteGuid = metadata.Header.FileWriteGuid,
        DataWriteGuid = metadata.Header.DataWriteGuid,
        Log = Log(metadata.Header, metadata.Replay),
        VirtualDiskId = metadata.VirtualDiskId,
        LogicalSectorSize = metadata.LogicalSectorSize,
        PhysicalSectorSize = metadata.PhysicalSectorSize,
        LeaveBlocksAllocated = metadata.LeaveBlocksAllocated,
        Regions = [.. metadata.Regions.Select(region => new VhdxRegionInfo(region.Id, (long)region.FileOffset, region.Length, region.IsRequired))],
        ParentLocator = metadata.Parent?.Entries ?? [],
        BlockCount = metadata.BatLayout.PayloadBlockCount,
        Blocks = blocks,
    };

    private static VhdxLogInfo Log(VhdxHeader header, VhdxLogReplay? replay) => new(
        !header.HasLogToReplay ? VhdxLogState.Clean : replay is null ? VhdxLogState.Unreplayable : VhdxLogState.Dirty,
        (long)header.LogOffset, header.LogLength, header.LogGuid, replay?.EntryCount ?? 0, replay?.Updates.Count ?? 0);

    private static IReadOnlyList<VhdxHeaderInfo> Headers(VhdxHeaderPair headers) => [Header(headers.First, headers.Current), Header(headers.Second, headers.Current)];

    private static VhdxHeaderInfo Header(VhdxHeader header, VhdxHeader? current) =>
        new(header.IsValid, header.FileOffset == current?.FileOffset, header.SequenceNumber);
}
