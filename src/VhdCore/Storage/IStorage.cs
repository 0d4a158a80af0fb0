using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Storage;

/// <summary>
/// Positional bytes on a medium: a file, a block device, memory. No cursor. Any thread, any number of requests at once, any alignment
/// unless <see cref="StorageTraits.Alignment"/> says otherwise.
/// </summary>
/// <remarks>
/// Failures of the medium are a <see cref="BlockStatus"/>, never an exception. Buffers are the caller's until the returned task completes,
/// cancelled or not. Await each task once. A write is visible to every later read once acknowledged, and durable after the next
/// <see cref="FlushAsync"/> that starts after its acknowledgement. What a power cut leaves of unflushed writes and length changes is any
/// subset of them, torn at 512 bytes, in any order.
/// </remarks>
public interface IStorage : IAsyncDisposable
{
    /// <summary>The name this was opened under, or was last renamed to; for messages.</summary>
    string Name { get; }

    /// <summary>What the medium can do; never changes.</summary>
    StorageTraits Traits { get; }

    /// <summary>Bytes now. A block device's does not change.</summary>
    long Length { get; }

    /// <summary>Reads what can be had without waiting for a device. Never blocks for long, never fails: what is missing is asked for by <see cref="ReadAsync"/>.</summary>
    /// <param name="offset">Bytes from the storage's start.</param>
    /// <param name="into">The request's memory.</param>
    /// <param name="start">Where in <paramref name="into"/> the first byte goes.</param>
    /// <param name="length">Bytes wanted.</param>
    /// <returns>Bytes moved, from the front; 0 when nothing was at hand.</returns>
    long TryRead(long offset, BlockBuffers into, long start, long length);

    /// <summary>Reads exactly <paramref name="length"/> bytes.</summary>
    /// <returns><see cref="BlockStatus.OutOfRange"/> when the range ends behind <see cref="Length"/>; the memory's content is then undefined.</returns>
    ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default);

    /// <summary>Writes exactly <paramref name="length"/> bytes, extending the storage when the range ends behind its end; the gap then reads as zeros.</summary>
    /// <remarks>With <see cref="WriteFlags.Fua"/> these bytes are durable on return, earlier ones and a changed length not necessarily.</remarks>
    ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default);

    /// <summary>Makes durable every write and length change that was acknowledged before this call. A failed flush is never retried into success: close and open again.</summary>
    ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default);

    /// <summary>Truncates, or extends by a range that reads as zeros.</summary>
    ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default);

    /// <summary>Makes a range inside <see cref="Length"/> read as zeros and gives its space back where the medium can. The length stays.</summary>
    /// <returns><see cref="BlockStatus.Unsupported"/> when the medium cannot; nothing was changed then, and the caller writes zeros.</returns>
    ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default);

    /// <summary>The first run at <paramref name="offset"/>: whether it may hold data or is known to read as zeros without taking space. At most <paramref name="length"/> long, at least one byte.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside the storage.</exception>
    StorageRun Map(long offset, long length);

    /// <summary>
    /// Gives the storage another name in the same resolver, replacing atomically what had it. The new name is durable on return: the content was
    /// flushed before, and the folder after, the change.
    /// </summary>
    ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default);
}

/// <summary>A run of a storage.</summary>
/// <param name="IsHole">Known to read as zeros and to take no space; otherwise it may hold data.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct StorageRun(bool IsHole, long Length);

/// <summary>What a medium is and can do.</summary>
public sealed record StorageTraits
{
    /// <summary>Writes are possible.</summary>
    public bool CanWrite { get; init; }

    /// <summary>A device of fixed length rather than a file: it cannot grow, and a VHD's footer is its last sector.</summary>
    public bool IsBlockDevice { get; init; }

    /// <summary>What lies behind the end reads as zeros once the length has grown over it, after a power cut too. Not so on block devices.</summary>
    public bool ExtensionReadsZeros { get; init; } = true;

    /// <summary>Offsets, lengths and addresses must be multiples of this many bytes; 1 where any will do.</summary>
    public int Alignment { get; init; } = 1;

    /// <summary>Bytes the storage takes on its medium, where it can tell; read when asked.</summary>
    public Func<long?>? AllocatedBytes { get; init; }
}
