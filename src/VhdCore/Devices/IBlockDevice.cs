using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Devices;

/// <summary>
/// The waist: a disk as every frontend and operation sees it. Any thread, any number of requests at once, any alignment.
/// </summary>
/// <remarks>
/// A range outside the disk is <see cref="BlockStatus.OutOfRange"/>, never an exception. Buffers are the caller's until the task completes,
/// cancelled or not. Continuations may run on an engine thread and must not block. Await each task once. Overlapping writes in flight take
/// effect in any order, but never mix inside a logical sector.
/// </remarks>
public interface IBlockDevice : IAsyncDisposable
{
    /// <summary>What kind of disk this is; never changes.</summary>
    BlockDeviceInfo Info { get; }

    /// <summary>Bytes.</summary>
    long Length { get; }

    /// <summary>Raised with the new length after a resize; for a shrink, after older requests have drained.</summary>
    event Action<long>? Resized;

    /// <summary>Fills all of <paramref name="into"/> from <paramref name="offset"/>.</summary>
    ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default);

    /// <summary>Writes all of <paramref name="from"/>. Visible to every later read once acknowledged; durable too with <see cref="WriteFlags.Fua"/>.</summary>
    ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default);

    /// <summary>Makes durable whatever any client saw acknowledged before this call.</summary>
    ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default);

    /// <summary>A hint that the content no longer matters. What is released reads as zeros, never as a parent's; what is not keeps its content.</summary>
    ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default);

    /// <summary>Makes the range read as zeros, giving space back where that is cheap.</summary>
    ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default);

    /// <summary>The first run at <paramref name="offset"/>, at most <paramref name="length"/> long. A run may be shorter than it could be; callers that show runs merge them.</summary>
    ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default);
}

/// <summary>What never changes about a disk.</summary>
public sealed record BlockDeviceInfo
{
    /// <summary>What to call it in messages.</summary>
    public required string Name { get; init; }

    /// <summary>Writes are refused.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Bytes in a logical sector: 512 or 4096. Writes never mix inside one.</summary>
    public int LogicalSectorSize { get; init; } = 512;

    /// <summary>Bytes in a physical sector, a hint for alignment.</summary>
    public int PhysicalSectorSize { get; init; } = 512;

    /// <summary>Bytes that allocation happens in; a hint for the size and alignment of trims.</summary>
    public long PreferredTrimSize { get; init; } = 4096;
}

/// <summary>A run of a disk with one answer to: where are these bytes?</summary>
/// <param name="Status">Other than <see cref="BlockStatus.Ok"/>, the rest means nothing.</param>
/// <param name="Offset">Where the run begins on the disk, in bytes.</param>
/// <param name="Length">Bytes; at least one when the status is Ok.</param>
/// <param name="Depth">Which image of the chain answers: 0 is the leaf. For a run that no image has, the base's.</param>
/// <param name="IsPresent">An image's table names storage or an explicit zero for it; false where nothing in the chain has ever held it.</param>
/// <param name="IsZero">Known to read as zeros without reading it.</param>
/// <param name="StorageOffset">Where the bytes lie in that image's file, when they do; otherwise -1.</param>
public readonly record struct BlockRun(BlockStatus Status, long Offset, long Length, int Depth, bool IsPresent, bool IsZero, long StorageOffset);
