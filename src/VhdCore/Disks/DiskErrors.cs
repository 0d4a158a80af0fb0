using VhdCore.Errors;

namespace VhdCore.Disks;

/// <summary>Turns a device's answers into exceptions that say what was asked, of which disk, where, and what to do next.</summary>
internal static class DiskErrors
{
    /// <summary>The exception for a status other than Ok.</summary>
    /// <param name="status">What the device answered.</param>
    /// <param name="name">The disk.</param>
    /// <param name="doing">What was asked: "reading".</param>
    /// <param name="offset">Where, in bytes of disk.</param>
    /// <param name="length">Bytes; null for a request that concerns the whole disk.</param>
    /// <param name="cancellationToken">The request's.</param>
    public static Exception ToException(BlockStatus status, string name, string doing, long offset, long? length, CancellationToken cancellationToken)
    {
        var what = length is null ? $"'{name}': {doing} the disk failed: " : $"'{name}': {doing} {length} bytes at offset {offset} of the disk failed: ";
        return status switch
        {
            BlockStatus.OutOfRange => new ArgumentOutOfRangeException(nameof(offset), offset, what + "the range does not lie inside the disk."),
            BlockStatus.Cancelled => new OperationCanceledException(cancellationToken),
            BlockStatus.Closed => new ObjectDisposedException(name, what + "the disk is closed."),
            BlockStatus.ReadOnly => new StorageException(
                what + "it was opened for reading only, or has become read-only because an earlier flush failed. Open it again for writing.", name, status: status),
            BlockStatus.NoSpace => new StorageException(
                what + "the medium is full. What is there can still be read and overwritten; make room and try again.", name, status: status),
            BlockStatus.Corrupt => new CorruptImageException(
                what + "an image's tables contradict its format there. Run 'vhdkit check' on every image of the chain.", name),
            BlockStatus.Unsupported => new StorageException(what + "the medium cannot do this.", name, status: status),
            _ => new StorageException(what + "the medium failed. The system's log may say why.", name, status: status),
        };
    }
}
