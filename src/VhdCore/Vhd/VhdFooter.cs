namespace VhdCore.Vhd;

/// <summary>The footer's Disk Type field.</summary>
internal enum VhdDiskType : uint
{
    None = 0,
    Fixed = 2,
    Dynamic = 3,
    Differencing = 4,
}

/// <summary>Disk geometry as the footer packs it into four bytes.</summary>
internal readonly record struct VhdGeometry(ushort Cylinders, byte Heads, byte SectorsPerTrack)
{
    /// <summary>Bytes that the geometry covers.</summary>
    public long Size => (long)Cylinders * Heads * SectorsPerTrack * VhdLayout.SectorSize;
}

/// <summary>A footer's fields as they stand in the file ("Hard Disk Footer Format"), whatever their sense.</summary>
internal sealed record VhdFooter
{
    /// <summary>The cookie is libvhd's "v_poison": a journaled resize was interrupted.</summary>
    public bool IsPoisoned { get; init; }

    public uint Features { get; init; } = 2;

    public uint FileFormatVersion { get; init; } = 0x0001_0000;

    /// <summary>Bytes from the start of the file to the dynamic header; all ones in a fixed disk.</summary>
    public ulong DataOffset { get; init; }

    /// <summary>Seconds since 2000-01-01 00:00 UTC.</summary>
    public uint Timestamp { get; init; }

    /// <summary>Four bytes of text, first character in the highest byte.</summary>
    public uint CreatorApplication { get; init; }

    public uint CreatorVersion { get; init; }

    public uint CreatorHostOs { get; init; }

    /// <summary>Bytes at creation.</summary>
    public ulong OriginalSize { get; init; }

    /// <summary>Bytes now.</summary>
    public ulong CurrentSize { get; init; }

    public VhdGeometry Geometry { get; init; }

    public VhdDiskType DiskType { get; init; }

    /// <summary>As stored; the valid one where <see cref="ChecksumIsValid"/>.</summary>
    public uint Checksum { get; init; }

    public bool ChecksumIsValid { get; init; }

    /// <summary>Sixteen raw bytes, shown big-endian; compared as bytes.</summary>
    public Guid UniqueId { get; init; }

    public bool SavedState { get; init; }

    /// <summary>XenServer's mark of an internal node of a snapshot tree, in byte 85.</summary>
    public bool IsHidden { get; init; }

    /// <summary>The creator application as text, unprintable bytes dropped.</summary>
    public string CreatorText => VhdText.FourCharacters(CreatorApplication);
}
