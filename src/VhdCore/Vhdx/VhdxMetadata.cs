using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>What a VHDX's structures say, judged: the tables can be followed from here.</summary>
internal sealed record VhdxMetadata
{
    /// <summary>The program that made the file.</summary>
    public required string Creator { get; init; }

    public required VhdxHeaderPair Headers { get; init; }

    /// <summary>The current header.</summary>
    public required VhdxHeader Header { get; init; }

    /// <summary>What the log changes; null when there is nothing to replay. Everything below is as after replay.</summary>
    public VhdxLogReplay? Replay { get; init; }

    /// <summary>All of the region table, in its order, unknown ones too.</summary>
    public required IReadOnlyList<VhdxRegion> Regions { get; init; }

    /// <summary>Bytes from the file's start to the copy of the region table that is not valid; null where both are.</summary>
    public long? DamagedRegionTableOffset { get; init; }

    public required VhdxRegion BatRegion { get; init; }

    public required VhdxRegion MetadataRegion { get; init; }

    /// <summary>All of the metadata table, in its order, unknown ones too.</summary>
    public required IReadOnlyList<VhdxMetadataEntry> Items { get; init; }

    /// <summary>Bytes in a payload block.</summary>
    public required uint BlockSize { get; init; }

    /// <summary>A fixed disk: blocks are never given back.</summary>
    public required bool LeaveBlocksAllocated { get; init; }

    /// <summary>Bytes of virtual disk.</summary>
    public required long VirtualSize { get; init; }

    /// <summary>Bytes: 512 or 4096.</summary>
    public required int LogicalSectorSize { get; init; }

    /// <summary>Bytes: 512 or 4096.</summary>
    public required int PhysicalSectorSize { get; init; }

    /// <summary>The disk's identity for the guest, which children share; null where the item is missing.</summary>
    public Guid? VirtualDiskId { get; init; }

    /// <summary>How to find the parent; null where there is none.</summary>
    public VhdxParentLocator? Parent { get; init; }

    public bool HasParent => Parent is not null;

    /// <summary>With a parent it is differencing, whatever LeaveBlocksAllocated says ([MS-VHDX] §2.6.2.1).</summary>
    public ImageKind Kind => HasParent ? ImageKind.Differencing : LeaveBlocksAllocated ? ImageKind.Fixed : ImageKind.Dynamic;

    /// <summary>Which entry of the BAT is whose.</summary>
    public VhdxBatLayout BatLayout => new(VirtualSize, BlockSize, LogicalSectorSize, HasParent);

    /// <summary>The file as it is after replay. The storage stays whose it was until the result is disposed of, which disposes of both.</summary>
    public IStorage ViewOf(IStorage storage) => Replay is null ? storage : new VhdxReplayOverlay(storage, Replay);
}

/// <summary>What a differencing disk says of its parent ([MS-VHDX] §2.6.2.6.3).</summary>
internal sealed record VhdxParentLocator
{
    /// <summary>Bytes from the file's start to the item.</summary>
    public long FileOffset { get; init; }

    /// <summary>The parent's DataWriteGuid is one of these: parent_linkage, and while a merge is under way parent_linkage2. Empty where neither can be read.</summary>
    public required IReadOnlyList<Guid> Linkages { get; init; }

    /// <summary>The names for the parent as they stand in the file, in the order to try: relative, by volume, absolute.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>All keys and values, in the file's order.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Entries { get; init; }
}
