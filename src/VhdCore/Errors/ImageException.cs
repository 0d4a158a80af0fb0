namespace VhdCore.Errors;

/// <summary>What is wrong with an image, in words that scripts can test for.</summary>
public enum ImageErrorKind
{
    /// <summary>The bytes contradict the format.</summary>
    Corrupt,

    /// <summary>The format allows it, this library does not do it, or refuses to for a stated reason.</summary>
    Unsupported,

    /// <summary>A log must be replayed first.</summary>
    NeedsReplay,

    /// <summary>A parent is missing, is not the one the child was made from, or may not be followed.</summary>
    ParentMismatch,

    /// <summary>Another process holds the image.</summary>
    InUse,

    /// <summary>The medium failed, is full, or the file cannot be opened.</summary>
    Io,
}

/// <summary>An image cannot be used. Says what is wrong, where, and what to do next.</summary>
public abstract class ImageException : IOException
{
    private protected ImageException(ImageErrorKind kind, string message, string? path, long? fileOffset, Exception? inner)
        : base(message, inner)
    {
        Kind = kind;
        Path = path;
        FileOffset = fileOffset;
    }

    /// <summary>The kind, the same for every format.</summary>
    public ImageErrorKind Kind { get; }

    /// <summary>The image's name as it was opened, where known.</summary>
    public string? Path { get; }

    /// <summary>Bytes from the file's start to the structure concerned, where there is one.</summary>
    public long? FileOffset { get; }
}

/// <summary>The bytes contradict the format.</summary>
public sealed class CorruptImageException(string message, string? path = null, long? fileOffset = null, Exception? inner = null)
    : ImageException(ImageErrorKind.Corrupt, message, path, fileOffset, inner);

/// <summary>The image is sound as far as was looked, but is of a kind that is not handled, or is refused for a stated reason.</summary>
public sealed class UnsupportedImageException(string message, string? path = null, long? fileOffset = null, Exception? inner = null)
    : ImageException(ImageErrorKind.Unsupported, message, path, fileOffset, inner);

/// <summary>A parent is missing, is another than the child names, or may not be followed.</summary>
public sealed class ParentMismatchException(string message, string? path = null, long? fileOffset = null, Exception? inner = null)
    : ImageException(ImageErrorKind.ParentMismatch, message, path, fileOffset, inner);

/// <summary>Another process holds the image in a way that excludes this use.</summary>
public sealed class ImageInUseException(string message, string? path = null, Exception? inner = null)
    : ImageException(ImageErrorKind.InUse, message, path, fileOffset: null, inner);

/// <summary>The medium failed, is full, or cannot be opened.</summary>
public sealed class StorageException(string message, string? path = null, long? fileOffset = null, BlockStatus status = BlockStatus.IoError, Exception? inner = null)
    : ImageException(ImageErrorKind.Io, message, path, fileOffset, inner)
{
    /// <summary>What the storage answered.</summary>
    public BlockStatus Status { get; } = status;
}
