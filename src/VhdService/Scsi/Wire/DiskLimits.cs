namespace VhdService.Scsi.Wire;

/// <summary>The block limits page's numbers, in logical blocks where nothing else is said.</summary>
internal readonly record struct DiskLimits
{
    /// <summary>Blocks in a physical sector.</summary>
    public required ushort OptimalGranularity { get; init; }

    /// <summary>The most that one command moves.</summary>
    public required uint MaxTransfer { get; init; }

    /// <summary>The most that one UNMAP names, all its descriptors together.</summary>
    public required uint MaxUnmap { get; init; }

    /// <summary>Descriptors in one UNMAP.</summary>
    public required uint MaxUnmapDescriptors { get; init; }

    /// <summary>What unmapping gives space back in.</summary>
    public required uint UnmapGranularity { get; init; }

    /// <summary>The most that one WRITE SAME covers.</summary>
    public required ulong MaxWriteSame { get; init; }
}
