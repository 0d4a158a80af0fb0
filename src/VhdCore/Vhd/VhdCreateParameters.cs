using VhdCore.Formats;

namespace VhdCore.Vhd;

/// <summary>What to create. Values only: nothing is looked up and nothing is chosen at random.</summary>
internal sealed record VhdCreateParameters
{
    public required ImageKind Kind { get; init; }

    /// <summary>Bytes of virtual disk, rounded up to whole sectors; see <see cref="VhdCreator.EffectiveSize"/>.</summary>
    public required long Size { get; init; }

    /// <summary>Bytes in a block, a power of two; of no meaning in a fixed disk.</summary>
    public int BlockSize { get; init; } = VhdLayout.DefaultBlockSize;

    /// <summary>What children will name; not all zeros.</summary>
    public required Guid UniqueId { get; init; }

    /// <summary>The footer's time.</summary>
    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>Rounds the size up to a product of cylinders, heads and sectors.</summary>
    public bool ChsCompatible { get; init; }

    /// <summary>Writes a fixed disk's zeros out.</summary>
    public bool Preallocate { get; init; }

    /// <summary>The parent of a differencing disk; null for the other kinds.</summary>
    public VhdParentReference? Parent { get; init; }
}

/// <summary>How a differencing disk names its parent.</summary>
internal sealed record VhdParentReference
{
    /// <summary>The parent's footer's id; all zeros for a raw parent.</summary>
    public required Guid UniqueId { get; init; }

    /// <summary>When the parent was last modified; null writes 0, as Windows 10 does.</summary>
    public DateTimeOffset? ModificationTime { get; init; }

    /// <summary>The parent's full path, for the W2ku locator and, where it fits, ParentUnicodeName.</summary>
    public required string AbsolutePath { get; init; }

    /// <summary>The parent's path from the child's folder, for the W2ru locator; with slashes or backslashes, and with or without <c>.\</c> in front.</summary>
    public required string RelativePath { get; init; }
}
