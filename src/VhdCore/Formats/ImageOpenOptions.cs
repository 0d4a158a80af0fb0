using VhdCore.Storage;
using VhdCore.Vhdx;

namespace VhdCore.Formats;

/// <summary>Which of a VHD footer's two sizes is the disk's.</summary>
public enum VhdSizeChoice
{
    /// <summary>By creator application: Virtual PC and old QEMU mean the geometry, everybody else the current size.</summary>
    ByCreator,

    /// <summary>Cylinders times heads times sectors.</summary>
    Chs,

    /// <summary>The footer's CurrentSize.</summary>
    Current,
}

/// <summary>Whether the parents that an image names are opened.</summary>
public enum ParentPolicy
{
    /// <summary>Wherever the image says.</summary>
    Follow,

    /// <summary>Only below <see cref="ImageOpenOptions.ParentRoot"/>.</summary>
    BelowRoot,

    /// <summary>Never: a differencing image is refused.</summary>
    Refuse,
}

/// <summary>How to open an image and its parents.</summary>
public sealed record ImageOpenOptions
{
    /// <summary>Open for writing too. Parents are always opened for reading.</summary>
    public bool Writable { get; init; }

    /// <summary>The format; null finds out from the bytes.</summary>
    public ImageFormat? Format { get; init; }

    /// <summary>Goes ahead although another process writes the image (qemu-img's -U). For reading only.</summary>
    public StorageSharing Sharing { get; init; }

    /// <summary>Which size of a VHD is the disk's.</summary>
    public VhdSizeChoice VhdSize { get; init; }

    /// <summary>Reads on past a wrong checksum, with a warning. For reading only.</summary>
    public bool IgnoreBadChecksum { get; init; }

    /// <summary>Whether parents are opened.</summary>
    public ParentPolicy Parents { get; init; }

    /// <summary>The folder that parents must lie in or below, for <see cref="ParentPolicy.BelowRoot"/>.</summary>
    public string? ParentRoot { get; init; }

    /// <summary>Takes a parent although its identifier is not the one the child names.</summary>
    public bool IgnoreParentId { get; init; }

    /// <summary>Images in a chain, the leaf included; a longer one is refused.</summary>
    public int MaxChainDepth { get; init; } = 256;

    /// <summary>Bytes of table pages that each image may keep in memory.</summary>
    public long TableCacheBytes { get; init; } = 64L << 20;

    /// <summary>Where the identifiers of a VHDX's next session come from; null is chance.</summary>
    internal VhdxIdentifiers? Identifiers { get; init; }

    /// <summary>How requests reach the medium: cached or not, by which engine, and on whose thread. Parents are opened alike.</summary>
    public IoSettings Io { get; init; } = IoSettings.Default;

    /// <summary>Told of everything that is odd but does not prevent the use.</summary>
    public Action<ImageWarning>? OnWarning { get; init; }
}

/// <summary>Something odd that does not prevent the use of an image.</summary>
/// <param name="Path">The image.</param>
/// <param name="Message">What, and what it means.</param>
public sealed record ImageWarning(string Path, string Message);
