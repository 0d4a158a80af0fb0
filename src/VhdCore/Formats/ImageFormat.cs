namespace VhdCore.Formats;

/// <summary>A disk image format.</summary>
public enum ImageFormat
{
    /// <summary>Bytes as the guest sees them.</summary>
    Raw,

    /// <summary>Virtual Hard Disk, also known as vpc.</summary>
    Vhd,

    /// <summary>Virtual Hard Disk, version 2. For reading.</summary>
    Vhdx,
}

/// <summary>How an image keeps its content.</summary>
public enum ImageKind
{
    /// <summary>Every byte has its place from the start.</summary>
    Fixed,

    /// <summary>Blocks take space when they are first written.</summary>
    Dynamic,

    /// <summary>Only what differs from a parent.</summary>
    Differencing,
}
