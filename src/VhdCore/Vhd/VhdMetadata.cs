using VhdCore.Formats;

namespace VhdCore.Vhd;

/// <summary>
/// Everything a VHD's structures say. From <see cref="VhdMetadataReader"/> it is judged, and the image can be used as asked; in a
/// <see cref="VhdExamination"/> any field may be nonsense.
/// </summary>
internal sealed record VhdMetadata
{
    /// <summary>The footer that counts.</summary>
    public required VhdFooter Footer { get; init; }

    /// <summary>Its 512 bytes as they stand in the file, for writing it elsewhere: what is unknown here is kept.</summary>
    public ReadOnlyMemory<byte> FooterBytes { get; init; }

    /// <summary>Where the valid end footer lies, in bytes; -1 when the copy at 0 had to serve.</summary>
    public required long EndFooterOffset { get; init; }

    /// <summary>Its length at the end: 512, or 511 in very old images.</summary>
    public int EndFooterLength { get; init; } = VhdLayout.SectorSize;

    /// <summary>Null in a fixed disk.</summary>
    public VhdDynamicHeader? Header { get; init; }

    /// <summary>Where the header lies, in bytes.</summary>
    public long HeaderOffset { get; init; }

    public required ImageKind Kind { get; init; }

    /// <summary>Bytes of virtual disk, a multiple of 512.</summary>
    public required long VirtualSize { get; init; }

    /// <summary>How the size was chosen, for people: which field and why.</summary>
    public required string SizeRule { get; init; }

    /// <summary>Entries of the table that mean something: one for each block of the disk.</summary>
    public int BlockCount { get; init; }

    /// <summary>The children's names for the parent, in the order to try; absolute and relative as they stand.</summary>
    public IReadOnlyList<VhdParentLocator> ParentLocators { get; init; } = [];

    /// <summary>XenServer's batmap, where there is one.</summary>
    public VhdBatmapHeader? Batmap { get; init; }

    /// <summary>Where the batmap's header lies, in bytes.</summary>
    public long BatmapHeaderOffset { get; init; }

    /// <summary>Bytes of a file of <paramref name="fileLength"/> bytes that blocks may lie in: up to the end footer, or all where there is none.</summary>
    public long DataEnd(long fileLength) => EndFooterOffset >= 0 ? EndFooterOffset : fileLength;

    /// <summary>Bytes of a block's data that the disk has: all of it, but for a last block that the disk does not fill.</summary>
    public int UsedBlockSize(int blockIndex) =>
        (int)Math.Min(Header!.BlockSize, VirtualSize - ((long)blockIndex * Header.BlockSize));
}

/// <summary>A parent locator's text.</summary>
/// <param name="PlatformCode">Which platform's spelling.</param>
/// <param name="Name">The path, as it stands in the file.</param>
internal sealed record VhdParentLocator(uint PlatformCode, string Name);

/// <summary>libvhd's batmap header: which blocks have all their sectors.</summary>
internal sealed record VhdBatmapHeader
{
    /// <summary>Bytes from the file's start to the map.</summary>
    public ulong MapOffset { get; init; }

    public uint MapSectorCount { get; init; }

    public uint Version { get; init; }

    public uint Checksum { get; init; }

    public byte Marker { get; init; }

    /// <summary>The content is encrypted: the header carries a hash of the key.</summary>
    public bool HasKeyHash { get; init; }
}
