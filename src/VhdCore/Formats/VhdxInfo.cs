namespace VhdCore.Formats;

/// <summary>
/// What only a VHDX has, as its structures say, after the replay of its log. Of an image that is refused, as much as can be told: numbers are 0 and identifiers
/// are all zeros where it cannot. Section numbers are [MS-VHDX]'s.
/// </summary>
public sealed record VhdxInfo
{
    /// <summary>The program that made the file, as it named itself (§2.2.1).</summary>
    public required string Creator { get; init; }

    /// <summary>Both headers, the one at 64 KiB first (§2.2.2).</summary>
    public required IReadOnlyList<VhdxHeaderInfo> Headers { get; init; }

    /// <summary>Changes with every session that changes the file.</summary>
    public required Guid FileWriteGuid { get; init; }

    /// <summary>Changes with every session that changes what the guest sees. Children know the image by it.</summary>
    public required Guid DataWriteGuid { get; init; }

    /// <summary>The log's place, and what has to be replayed (§2.3).</summary>
    public required VhdxLogInfo Log { get; init; }

    /// <summary>The disk's identity for the guest, shared by parents and children; null where it is missing (§2.6.2.3).</summary>
    public Guid? VirtualDiskId { get; init; }

    /// <summary>Bytes: 512 or 4096 (§2.6.2.4).</summary>
    public required int LogicalSectorSize { get; init; }

    /// <summary>Bytes: 512 or 4096 (§2.6.2.5).</summary>
    public required int PhysicalSectorSize { get; init; }

    /// <summary>Blocks are never given back: a fixed disk, unless it has a parent (§2.6.2.1).</summary>
    public required bool LeaveBlocksAllocated { get; init; }

    /// <summary>The regions of the file (§2.2.3).</summary>
    public required IReadOnlyList<VhdxRegionInfo> Regions { get; init; }

    /// <summary>Keys and values of the parent locator, in the file's order; empty without a parent (§2.6.2.6).</summary>
    public IReadOnlyList<KeyValuePair<string, string>> ParentLocator { get; init; } = [];

    /// <summary>Payload blocks that the disk has.</summary>
    public required long BlockCount { get; init; }

    /// <summary>Blocks by state; null where they have not been counted (§2.5.1.1).</summary>
    public VhdxBlockCounts? Blocks { get; init; }
}

/// <summary>One of the two headers.</summary>
/// <param name="IsValid">Its signature and checksum are right; otherwise the rest may be nonsense.</param>
/// <param name="IsCurrent">It is the one that counts.</param>
/// <param name="SequenceNumber">The greater one is current.</param>
public sealed record VhdxHeaderInfo(bool IsValid, bool IsCurrent, ulong SequenceNumber);

/// <summary>What a VHDX's log holds.</summary>
public enum VhdxLogState
{
    /// <summary>Nothing that counts: the image was closed properly, or never changed.</summary>
    Clean,

    /// <summary>Changes that have to be replayed. Reading takes them into account; opening for writing replays them into the file.</summary>
    Dirty,

    /// <summary>Changes that have to be replayed and cannot be, as entries are damaged or aim at impossible places: the image is refused.</summary>
    Unreplayable,
}

/// <summary>The log.</summary>
/// <param name="State">Whether there is something to replay.</param>
/// <param name="FileOffset">Bytes from the file's start.</param>
/// <param name="Length">Bytes.</param>
/// <param name="LogGuid">All zeros when there is nothing to replay.</param>
/// <param name="EntryCount">Entries to replay.</param>
/// <param name="UpdateCount">Updates in those entries.</param>
public sealed record VhdxLogInfo(VhdxLogState State, long FileOffset, long Length, Guid LogGuid, int EntryCount, int UpdateCount);

/// <summary>A region of the file.</summary>
/// <param name="Id">Which.</param>
/// <param name="FileOffset">Bytes from the file's start.</param>
/// <param name="Length">Bytes.</param>
/// <param name="IsRequired">Who does not know it must not use the file.</param>
public sealed record VhdxRegionInfo(Guid Id, long FileOffset, long Length, bool IsRequired);

/// <summary>Payload blocks by state.</summary>
/// <param name="NotPresent">Never written here.</param>
/// <param name="Undefined">Of any content; read as zeros.</param>
/// <param name="Zero">Zeros.</param>
/// <param name="Unmapped">Given back by the guest; read as zeros.</param>
/// <param name="FullyPresent">In the file.</param>
/// <param name="PartiallyPresent">Partly in the file, partly the parent's.</param>
/// <param name="Impossible">Of a state, or at a place, that cannot be.</param>
public sealed record VhdxBlockCounts(long NotPresent, long Undefined, long Zero, long Unmapped, long FullyPresent, long PartiallyPresent, long Impossible);
