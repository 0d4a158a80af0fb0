using System.Buffers;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Storage;

/// <summary>
/// A storage as the metadata side wants it: whole structures from managed memory, and an exception that says what, where and what next instead
/// of a status. Not for payload.
/// </summary>
internal static class StorageExtensions
{
    /// <summary>Fills all of <paramref name="into"/> from <paramref name="offset"/>, in bytes.</summary>
    /// <exception cref="CorruptImageException">The range does not lie inside the storage.</exception>
    /// <exception cref="StorageException">The medium failed.</exception>
    public static ValueTask ReadExactAsync(this IStorage storage, long offset, Memory<byte> into, CancellationToken cancellationToken = default) =>
        ReadExactAsync(storage, offset, into, "a structure", cancellationToken);

    /// <summary>Fills all of <paramref name="into"/> from <paramref name="offset"/>, in bytes.</summary>
    /// <param name="storage">The storage.</param>
    /// <param name="offset">Bytes from the storage's start; any value, for it may come from the image.</param>
    /// <param name="into">Where the bytes go; pinned meanwhile.</param>
    /// <param name="structure">What is read, as the message should name it: "the dynamic disk header".</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="CorruptImageException">The range does not lie inside the storage.</exception>
    /// <exception cref="StorageException">The medium failed.</exception>
    public static async ValueTask ReadExactAsync(this IStorage storage, long offset, Memory<byte> into, string structure, CancellationToken cancellationToken = default)
    {
        using var pin = into.Pin();
        var status = await storage.ReadAsync(offset, Buffers(in pin, into.Length), 0, into.Length, cancellationToken).ConfigureAwait(false);
        if (status == BlockStatus.OutOfRange)
        {
            throw new CorruptImageException(
                $"'{storage.Name}' ends before {structure}: {into.Length} bytes are needed at byte {offset}, and the file has {storage.Length}. " +
                "It was cut short, or the offset that leads there is wrong: compare its size with the original's, or run 'vhdkit check'.",
                storage.Name, offset);
        }

        ThrowIfFailed(status, storage, $"reading {structure} ({into.Length} bytes)", offset, cancellationToken);
    }

    /// <summary>Writes all of <paramref name="from"/> at <paramref name="offset"/>, in bytes, extending the storage where needed.</summary>
    /// <exception cref="StorageException">The medium failed, is full, or is open for reading only.</exception>
    public static async ValueTask WriteExactAsync(this IStorage storage, long offset, ReadOnlyMemory<byte> from, CancellationToken cancellationToken = default)
    {
        using var pin = from.Pin();
        var status = await storage.WriteAsync(offset, Buffers(in pin, from.Length), 0, from.Length, WriteFlags.None, cancellationToken).ConfigureAwait(false);
        ThrowIfFailed(status, storage, $"writing {from.Length} bytes", offset, cancellationToken);
    }

    /// <summary>Makes durable every write and length change that was acknowledged before.</summary>
    /// <exception cref="StorageException">The medium failed: nothing may be written before the storage is opened again.</exception>
    public static async ValueTask FlushOrThrowAsync(this IStorage storage, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(await storage.FlushAsync(cancellationToken).ConfigureAwait(false), storage, "flushing", fileOffset: null, cancellationToken);

    /// <summary>Truncates, or extends by a range that reads as zeros; <paramref name="length"/> in bytes.</summary>
    /// <exception cref="StorageException">The medium failed, is full, or cannot change its length.</exception>
    public static async ValueTask SetLengthOrThrowAsync(this IStorage storage, long length, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(
            await storage.SetLengthAsync(length, cancellationToken).ConfigureAwait(false), storage, $"setting the length to {length} bytes", fileOffset: null, cancellationToken);

    /// <summary>Gives the storage another name, durably, replacing what had it.</summary>
    /// <exception cref="StorageException">The name cannot be given; or not made durable; <see cref="IStorage.Name"/> says which name it has.</exception>
    public static async ValueTask RenameOrThrowAsync(this IStorage storage, string newName, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(
            await storage.RenameAsync(newName, cancellationToken).ConfigureAwait(false), storage, $"renaming it to '{newName}'", fileOffset: null, cancellationToken);

    /// <summary>Turns what a storage answered into the fitting exception.</summary>
    /// <param name="status">The answer.</param>
    /// <param name="storage">Who gave it.</param>
    /// <param name="doing">What was asked, as the message should name it: "writing the footer".</param>
    /// <param name="fileOffset">Where, in bytes.</param>
    /// <param name="cancellationToken">The request's token, for the exception that cancelling gives.</param>
    /// <exception cref="StorageException">The status is another than Ok and Cancelled.</exception>
    /// <exception cref="OperationCanceledException">The status is Cancelled.</exception>
    public static void ThrowIfFailed(this BlockStatus status, IStorage storage, string doing, long? fileOffset, CancellationToken cancellationToken = default)
    {
        if (status == BlockStatus.Ok)
        {
            return;
        }

        if (status == BlockStatus.Cancelled)
        {
            throw new OperationCanceledException(cancellationToken);
        }

        var reason = status switch
        {
            BlockStatus.OutOfRange => "the range does not lie inside the file",
            BlockStatus.ReadOnly => "it may not be written: it is open for reading, the medium is read-only, or an earlier flush failed",
            BlockStatus.NoSpace => "there is no space left, or a quota or size limit was reached; free some and try again",
            BlockStatus.Unsupported => "its medium cannot do this",
            BlockStatus.Closed => "it is closed",
            _ => "its medium failed; look into the system's log before trusting it again",
        };
        var place = fileOffset is { } at ? $" at byte {at}" : "";
        throw new StorageException($"'{storage.Name}': {doing}{place} failed: {reason}.", storage.Name, fileOffset, status);
    }

    // Safety: the pin outlives the request, because its owner disposes of it only after the task has completed.
    private static unsafe BlockBuffers Buffers(in MemoryHandle pin, int length) => BlockBuffers.Of((nint)pin.Pointer, length);
}
