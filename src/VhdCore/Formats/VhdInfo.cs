namespace VhdCore.Formats;

/// <summary>Which of a VHD's footers counts.</summary>
public enum VhdFooterSource
{
    /// <summary>The last 512 bytes of the file.</summary>
    End,

    /// <summary>The last 511 bytes, as images from before Virtual PC 2004 have it.</summary>
    End511,

    /// <summary>The copy at the start: there is no valid footer at the end.</summary>
    Start,
}

/// <summary>A VHD's own fields ("Hard Disk Footer Format", "Dynamic Disk Header Format"), whatever their sense.</summary>
public sealed record VhdInfo
{
    /// <summary>The footer's Disk Type as it stands in the file: 2 fixed, 3 dynamic, 4 differencing.</summary>
    public required uint DiskType { get; init; }

    /// <summary>The program that wrote the footer last: four characters, unprintable ones dropped.</summary>
    public required string CreatorApplication { get; init; }

    /// <summary>That program's version, major part in the upper 16 bits.</summary>
    public required uint CreatorVersion { get; init; }

    /// <summary>The system it ran on, <c>Wi2k</c> or <c>Mac</c>; unprintable characters dropped.</summary>
    public required string CreatorHostOs { get; init; }

    /// <summary>When the image was created or last changed, as its writer saw it.</summary>
    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>Bytes of virtual disk at creation.</summary>
    public required ulong OriginalSize { get; init; }

    /// <summary>Bytes of virtual disk now.</summary>
    public required ulong CurrentSize { get; init; }

    /// <summary>Cylinders of the geometry.</summary>
    public required int Cylinders { get; init; }

    /// <summary>Heads of the geometry.</summary>
    public required int Heads { get; init; }

    /// <summary>Sectors of 512 bytes in a track of the geometry.</summary>
    public required int SectorsPerTrack { get; init; }

    /// <summary>How <see cref="ImageInfo.VirtualSize"/> was chosen, in words: which field, and why.</summary>
    public required string SizeRule { get; init; }

    /// <summary>The footer's identifier, which a child names; its sixteen bytes shown in the order of the file.</summary>
    public required Guid UniqueId { get; init; }

    /// <summary>Which footer counts.</summary>
    public required VhdFooterSource FooterSource { get; init; }

    /// <summary>The checksum of the footer that counts is right.</summary>
    public required bool FooterChecksumIsValid { get; init; }

    /// <summary>The dynamic header's checksum is right; null in a fixed disk.</summary>
    public bool? HeaderChecksumIsValid { get; init; }

    /// <summary>The disk belongs to a suspended machine, whose memory may contradict any change to it.</summary>
    public bool SavedState { get; init; }

    /// <summary>XenServer's mark of an internal node of a snapshot tree.</summary>
    public bool IsHidden { get; init; }

    /// <summary>The cookie is <c>v_poison</c>: XenServer's resize was interrupted, and its journal must be played back first.</summary>
    public bool IsPoisoned { get; init; }

    /// <summary>Bytes from the file's start to the block allocation table; null in a fixed disk.</summary>
    public ulong? TableOffset { get; init; }

    /// <summary>Entries of the block allocation table; may be more than the disk has blocks. Null in a fixed disk.</summary>
    public uint? MaxTableEntries { get; init; }

    /// <summary>Blocks the disk has; null in a fixed disk.</summary>
    public long? BlockCount { get; init; }

    /// <summary>Blocks that take space in the file; null in a fixed disk, and where the table cannot be read.</summary>
    public long? AllocatedBlockCount { get; init; }

    /// <summary>The parent's identifier, all zeros when the parent is a raw file; null without a parent.</summary>
    public Guid? ParentUniqueId { get; init; }

    /// <summary>When the parent was last changed, as the child's writer saw it; null without a parent and where the field is zero.</summary>
    public DateTimeOffset? ParentTimestamp { get; init; }

    /// <summary>The header's name for the parent, bare or a full path; null without a parent.</summary>
    public string? ParentUnicodeName { get; init; }

    /// <summary>The parent locators, in the file's order.</summary>
    public IReadOnlyList<VhdParentLocatorInfo> ParentLocators { get; init; } = [];

    /// <summary>XenServer's batmap; null where there is none.</summary>
    public VhdBatmapInfo? Batmap { get; init; }
}

/// <summary>One name that a differencing VHD gives for its parent.</summary>
/// <param name="PlatformCode">Whose spelling: <c>W2ru</c> and <c>W2ku</c> for Windows relative and absolute, <c>MacX</c> for a file URL.</param>
/// <param name="Name">The name, as it stands in the file.</param>
public sealed record VhdParentLocatorInfo(string PlatformCode, string Name);

/// <summary>XenServer's map of the blocks that have all their sectors.</summary>
/// <param name="Version">Its version, major part in the upper 16 bits.</param>
/// <param name="Marker">A byte that XenServer's tools keep for themselves.</param>
/// <param name="HasKeyHash">The content is encrypted, and the header carries a hash of the key.</param>
public sealed record VhdBatmapInfo(uint Version, byte Marker, bool HasKeyHash);
