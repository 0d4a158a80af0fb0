using VhdCore.Errors;
using VhdCore.Formats;

namespace VhdCore.Vhd;

/// <summary>What a check of one VHD found.</summary>
internal sealed record VhdCheckResult
{
    /// <summary>In the order of file offsets.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>The structures as far as they could be told.</summary>
    public VhdMetadata? Metadata { get; init; }

    /// <summary>The disk's blocks; 0 in a fixed disk.</summary>
    public long TotalBlocks { get; init; }

    /// <summary>Entries of the table that name a place.</summary>
    public long AllocatedBlocks { get; init; }

    /// <summary>Where the last structure in use ends, in bytes; 0 where there is none.</summary>
    public long ImageEndOffset { get; init; }

    /// <summary>The image needs a parent that can be looked for.</summary>
    public bool NeedsParent => Metadata is { Kind: ImageKind.Differencing, Header: not null };
}
