namespace VhdCore.Formats;

/// <summary>What one image file is, as its structures say.</summary>
public sealed record ImageInfo
{
    /// <summary>The image's name, as it was opened or as its child led to it.</summary>
    public required string Path { get; init; }

    /// <summary>The format.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>How the image keeps its content.</summary>
    public required ImageKind Kind { get; init; }

    /// <summary>Bytes of virtual disk; 0 where a refused image does not tell.</summary>
    public required long VirtualSize { get; init; }

    /// <summary>Bytes in the file.</summary>
    public required long FileLength { get; init; }

    /// <summary>Bytes that the file takes on its medium, holes left out; null where the medium cannot tell.</summary>
    public long? AllocatedBytes { get; init; }

    /// <summary>Bytes in an allocation block; null for a format or kind without blocks.</summary>
    public int? BlockSize { get; init; }

    /// <summary>The image's identifier; null for a format without one.</summary>
    public Guid? UniqueId { get; init; }

    /// <summary>
    /// The parent's name: where it was found when parents are followed, otherwise the first name that the image gives for it. Null where there is
    /// no parent.
    /// </summary>
    public string? ParentPath { get; init; }

    /// <summary>
    /// A raw file's length is no multiple of 512, so <see cref="VirtualSize"/> is the next one and the disk's last bytes, which the file does not
    /// have, read as zeros.
    /// </summary>
    public bool SizeRoundedUp { get; init; }

    /// <summary>Opening the image as asked would be refused; the reason is among <see cref="Warnings"/>.</summary>
    public bool IsRefused { get; init; }

    /// <summary>Everything odd about the image, in words, the most serious first; empty for a sound one.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>What only a VHD has; null for other formats.</summary>
    public VhdInfo? Vhd { get; init; }

    /// <summary>What only a VHDX has; null for other formats.</summary>
    public VhdxInfo? Vhdx { get; init; }
}
