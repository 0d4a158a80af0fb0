using System.Collections;
using VhdCore.Formats;

namespace VhdCore.Operations.Streams;

/// <summary>A disk's bytes as they come out of a stream.</summary>
internal abstract class DiskStreamContent
{
    /// <summary>Bytes that a buffer for <see cref="NextAsync"/> has.</summary>
    public const int BufferSize = ConvertOperation.WindowSize + FormatDetector.TailSize;

    /// <summary>The format; of what may be raw or a fixed VHD, raw until the end is known.</summary>
    public abstract ImageFormat Format { get; }

    /// <summary>The kind.</summary>
    public abstract ImageKind Kind { get; }

    /// <summary>Bytes of disk; null until that is known.</summary>
    public abstract long? Length { get; }

    /// <summary>The disk's bytes come from its start to its end.</summary>
    public virtual bool IsInOrder => true;

    /// <summary>The next piece of the disk; null behind the last one, when all that the end says has been looked at. Pieces do not overlap, and leave nothing out.</summary>
    /// <exception cref="Errors.ImageException">The stream was cut short, or says what cannot be.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public abstract ValueTask<StreamPiece?> NextAsync(WorkerBuffer buffer, CancellationToken cancellationToken);

    /// <summary>Sets the bit of every block that may hold something.</summary>
    public virtual void MarkPresent(BitArray blocks, int blockSize) => blocks.SetAll(true);
}

/// <summary>A piece of a disk, which lies at a buffer's start unless it is known to be zeros.</summary>
internal readonly record struct StreamPiece(long Offset, long Length, bool IsZero);
