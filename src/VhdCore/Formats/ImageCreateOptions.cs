using VhdCore.Storage;

namespace VhdCore.Formats;

/// <summary>How to create an image.</summary>
public sealed record ImageCreateOptions
{
    /// <summary>The format.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>The kind. Raw images are always fixed.</summary>
    public ImageKind Kind { get; init; } = ImageKind.Dynamic;

    /// <summary>Bytes of virtual disk, rounded up to whole sectors; null takes the parent's.</summary>
    public long? Size { get; init; }

    /// <summary>
    /// Bytes in a block, a power of two: for a VHDX from 1 MiB to 256 MiB. Null takes the format's usual: 2 MiB for a VHD and for a VHDX with a parent, 32 MiB for any
    /// other VHDX. For Linux guests 1 MiB is best, because their file systems spread small structures over the whole disk, and each takes a block.
    /// </summary>
    public int? BlockSize { get; init; }

    /// <summary>Bytes in a logical sector of a VHDX, 512 or 4096; null takes the parent's, which a child must have, and 512 without a parent.</summary>
    public int? LogicalSectorSize { get; init; }

    /// <summary>Bytes in a physical sector of a VHDX, 512 or 4096, which the guest aligns its writes to; null takes the parent's, and 4096 without a parent.</summary>
    public int? PhysicalSectorSize { get; init; }

    /// <summary>Bytes of a VHDX's log, a multiple of 1 MiB up to 1 GiB; null takes 1 MiB.</summary>
    public long? LogSize { get; init; }

    /// <summary>The parent's name, for a differencing image.</summary>
    public string? Parent { get; init; }

    /// <summary>The parent's format; null finds out.</summary>
    public ImageFormat? ParentFormat { get; init; }

    /// <summary>
    /// The image's identifier; null makes a random one. Of a VHDX, which has several, it is the disk's, which a child shares with its parent and does not take from here;
    /// together with <see cref="Timestamp"/> it also decides all the others.
    /// </summary>
    public Guid? UniqueId { get; init; }

    /// <summary>
    /// The time stamped into the image; null is now. With this and <see cref="UniqueId"/> given, the same options and the same writes in the same order make the same
    /// file, byte for byte. A VHDX has no time stamp; there the time only takes part in making the identifiers.
    /// </summary>
    public DateTimeOffset? Timestamp { get; init; }

    /// <summary>Rounds a VHD's size up to a product of cylinders, heads and sectors, for readers that size it so.</summary>
    public bool ChsCompatible { get; init; }

    /// <summary>Writes a fixed image's space out instead of leaving it to the file system to allocate later.</summary>
    public bool Preallocate { get; init; }

    /// <summary>How requests reach the medium, while the image is created and after.</summary>
    public IoSettings Io { get; init; } = IoSettings.Default;

    /// <summary>
    /// Leaves the image under a temporary name in its folder until <c>VirtualDisk.PublishAsync</c>, and deletes it when it is closed before. For
    /// an image that should appear only when its content is complete.
    /// </summary>
    public bool DeferPublishing { get; init; }
}
