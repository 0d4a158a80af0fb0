using VhdCore.Errors;

namespace VhdCore.Vhdx;

/// <summary>What a check of one VHDX found.</summary>
internal sealed record VhdxCheckResult
{
    /// <summary>In the order of file offsets.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>The structures; null where they could not be told.</summary>
    public VhdxMetadata? Metadata { get; init; }

    /// <summary>The disk's blocks.</summary>
    public long TotalBlocks { get; init; }

    /// <summary>Blocks that are in the file.</summary>
    public long AllocatedBlocks { get; init; }

    /// <summary>Where the last structure in use ends, in bytes; 0 where it could not be told.</summary>
    public long ImageEndOffset { get; init; }
}
