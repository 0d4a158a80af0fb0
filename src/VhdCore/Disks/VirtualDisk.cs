using System.Buffers;
using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Operations;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Disks;

/// <summary>
/// A virtual disk: an image, or a chain of them, as the bytes that a guest sees. The library's front door.
/// </summary>
/// <remarks>
/// Any thread may read and write at any offset, any number of requests at once, without alignment. A write is visible to every later read once its
/// task has completed, and durable after the next <see cref="FlushAsync"/>. Memory given to a request must stay untouched until its task completes.
/// </remarks>
public sealed class VirtualDisk : IAsyncDisposable
{
    private readonly ChainDevice _device;
    private readonly UnpublishedFile? _unpublished;
    private volatile bool _hasReportedLoss; // a request has failed already for what closing would say

    internal VirtualDisk(ChainDevice device, IReadOnlyList<ImageInfo> images, UnpublishedFile? unpublished = null)
    {
        _device = device;
        _unpublished = unpublished;
        Images = images;
        device.CommitsByTime = unpublished is null or { IsPublished: true };
    }

    /// <summary>Bytes of disk.</summary>
    public long Length => _device.Length;

    /// <summary>Writes are refused.</summary>
    public bool IsReadOnly => _device.Info.IsReadOnly;

    /// <summary>The disk as frontends and operations take it: statuses instead of exceptions, native memory. Owned by this disk.</summary>
    public IBlockDevice Device => _device;

    /// <summary>The images that make up the disk when it was opened, the leaf first.</summary>
    public IReadOnlyList<ImageInfo> Images { get; }

    /// <summary>Opens a disk by its image's name, and the parents that the image needs.</summary>
    /// <param name="path">The image. Of a chain, the leaf.</param>
    /// <param name="options">How; null is for reading, with parents wherever the image says.</param>
    /// <param name="resolver">Turns names into storages; null takes them as file names.</param>
    /// <param name="cancellationToken">Ends the opening.</param>
    /// <exception cref="CorruptImageException">An image of the chain contradicts its format.</exception>
    /// <exception cref="UnsupportedImageException">An image of the chain is of a kind, or in a state, that is not handled.</exception>
    /// <exception cref="ParentMismatchException">A parent is missing, is not the one the child was made from, or may not be followed.</exception>
    /// <exception cref="ImageInUseException">Somebody else holds an image in a way that excludes this use.</exception>
    /// <exception cref="StorageException">An image does not exist, or cannot be read.</exception>
    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    public static async ValueTask<VirtualDisk> OpenAsync(
        string path, ImageOpenOptions? options = null, IStorageResolver? resolver = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new ImageOpenOptions();
        var gate = new InFlightGate();
        var chain = await ChainOpener.OpenAsync(path, options, resolver ?? new FileStorageResolver(), gate, cancellationToken).ConfigureAwait(false);
        return FromChain(chain, gate, options.Writable);
    }

    /// <summary>Creates an image and opens it for writing. It appears under its name only when it is whole and durable; until then, it has another in the same folder.</summary>
    /// <param name="path">Its name. A file that has it already is replaced, unless somebody has it open.</param>
    /// <param name="options">What to create.</param>
    /// <param name="resolver">Turns names into storages; null takes them as file names.</param>
    /// <param name="cancellationToken">Ends the creating; nothing is left behind.</param>
    /// <exception cref="ArgumentException">The options contradict each other, or the format does not have what they ask for.</exception>
    /// <exception cref="ImageException">The parent cannot be used, the file that has the name already is in use, or the medium failed.</exception>
    public static async ValueTask<VirtualDisk> CreateAsync(
        string path, ImageCreateOptions options, IStorageResolver? resolver = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(options);
        return await new ImageCreation(path, options, resolver ?? new FileStorageResolver()).RunAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Fills all of <paramref name="into"/> from <paramref name="offset"/>, in bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside the disk.</exception>
    /// <exception cref="ImageException">A medium failed, or an image's tables are not possible there.</exception>
    /// <exception cref="ObjectDisposedException">The disk is closed.</exception>
    /// <exception cref="OperationCanceledException">The request was cancelled.</exception>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken = default)
    {
        var pin = into.Pin();
        return Finish(_device.ReadAsync(offset, Buffers(in pin, into.Length), cancellationToken), pin, "reading", offset, into.Length, cancellationToken);
    }

    /// <summary>Writes all of <paramref name="from"/> at <paramref name="offset"/>, in bytes.</summary>
    /// <param name="offset">Bytes from the disk's start.</param>
    /// <param name="from">What to write.</param>
    /// <param name="flags">With <see cref="WriteFlags.Fua"/>, durable when the task completes.</param>
    /// <param name="cancellationToken">Cancels; part of the range may have been written then.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside the disk.</exception>
    /// <exception cref="ImageException">The disk is read-only, a medium is full or failed, or an image's tables are not possible there.</exception>
    /// <exception cref="ObjectDisposedException">The disk is closed.</exception>
    /// <exception cref="OperationCanceledException">The request was cancelled.</exception>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        var pin = from.Pin();
        return Finish(_device.WriteAsync(offset, Buffers(in pin, from.Length), flags, cancellationToken), pin, "writing", offset, from.Length, cancellationToken);
    }

    /// <summary>Makes durable whatever was acknowledged before this call.</summary>
    /// <exception cref="ImageException">It could not be made durable. The disk is read-only from then on: open it again.</exception>
    /// <exception cref="ObjectDisposedException">The disk is closed.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) =>
        Finish(_device.FlushAsync(cancellationToken), default, "flushing", 0, null, cancellationToken);

    /// <summary>Says that a range's content no longer matters. What is released reads as zeros; what is not keeps its content.</summary>
    /// <inheritdoc cref="WriteAsync"/>
    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        Finish(_device.TrimAsync(offset, length, cancellationToken), default, "trimming", offset, length, cancellationToken);

    /// <summary>Makes a range read as zeros, giving space back where that is cheap.</summary>
    /// <param name="offset">Bytes from the disk's start.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="flags">With <see cref="WriteFlags.Fua"/>, durable when the task completes.</param>
    /// <param name="cancellationToken">Cancels; part of the range may have been zeroed then.</param>
    /// <inheritdoc cref="WriteAsync"/>
    public ValueTask ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        Finish(_device.ZeroAsync(offset, length, flags, cancellationToken), default, "zeroing", offset, length, cancellationToken);

    /// <summary>Lists where the disk's bytes are, from its start to its end without gaps, neighbours of the same kind merged.</summary>
    /// <exception cref="ImageException">A table could not be read, or is not possible.</exception>
    public IAsyncEnumerable<BlockRun> GetExtentsAsync(CancellationToken cancellationToken = default) =>
        MapOperation.RunAsync(_device, cancellationToken: cancellationToken);

    /// <summary>
    /// The disk as a stream with a position of its own, of fixed length. Any number of streams may be in use at once. Disposing of a stream leaves the disk open
    /// and flushes nothing.
    /// </summary>
    public Stream AsStream() => new VirtualDiskStream(this);

    /// <summary>
    /// Gives an image that was created with <see cref="ImageCreateOptions.DeferPublishing"/> its name, replacing what had it: flushes first, and is durable when
    /// the task completes. Does nothing for any other.
    /// </summary>
    /// <exception cref="ImageException">The content could not be made durable, or the name cannot be given. Another attempt is allowed.</exception>
    public async ValueTask PublishAsync(CancellationToken cancellationToken = default)
    {
        if (_unpublished is { IsPublished: false })
        {
            await FlushAsync(cancellationToken).ConfigureAwait(false);
            await _unpublished.PublishAsync(cancellationToken).ConfigureAwait(false);
            _device.CommitsByTime = true;
        }
    }

    /// <summary>
    /// Waits for the requests in flight, makes everything durable and closes all images. An image that was never published is deleted.
    /// </summary>
    /// <exception cref="StorageException">
    /// What was written since the last flush could not be made durable, and no request has said so yet. The images are closed all the same.
    /// </exception>
    public async ValueTask DisposeAsync()
    {
        var status = await _device.CloseAsync().ConfigureAwait(false);
        if (_unpublished is not null && await _unpublished.CloseAsync().ConfigureAwait(false))
        {
            return; // nobody will miss what a deleted file could not keep
        }

        // Closed is the second dispose.
        if (status is not (BlockStatus.Ok or BlockStatus.Closed) && !_hasReportedLoss)
        {
            throw DiskErrors.ToException(status, _device.Info.Name, "closing", 0, null, CancellationToken.None);
        }
    }

    internal static VirtualDisk FromChain(OpenedChain chain, InFlightGate gate, bool isWritable, UnpublishedFile? unpublished = null)
    {
        var leaf = chain.State.Leaf;
        var info = new BlockDeviceInfo
        {
            Name = chain.Images[0].Path,
            IsReadOnly = !isWritable,
            LogicalSectorSize = leaf.LogicalSectorSize,
            PhysicalSectorSize = chain.Images[0].Vhdx?.PhysicalSectorSize ?? leaf.LogicalSectorSize,
            PreferredTrimSize = leaf.BlockSize,
        };
        return new VirtualDisk(new ChainDevice(chain.State, gate, info), chain.Images, unpublished);
    }

    private ValueTask Finish(ValueTask<BlockStatus> request, MemoryHandle pin, string doing, long offset, long? length, CancellationToken cancellationToken)
    {
        if (!request.IsCompletedSuccessfully)
        {
            return FinishLaterAsync(request, pin, doing, offset, length, cancellationToken);
        }

        pin.Dispose();
        var status = request.Result;
        return status == BlockStatus.Ok
            ? default
            : ValueTask.FromException(Failure(status, doing, offset, length, cancellationToken));
    }

    private async ValueTask FinishLaterAsync(
        ValueTask<BlockStatus> request, MemoryHandle pin, string doing, long offset, long? length, CancellationToken cancellationToken)
    {
        using (pin)
        {
            var status = await request.ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                throw Failure(status, doing, offset, length, cancellationToken);
            }
        }
    }

    private Exception Failure(BlockStatus status, string doing, long offset, long? length, CancellationToken cancellationToken)
    {
        // A flush that failed, or a write refused because an earlier one did.
        if (status == BlockStatus.ReadOnly || (status == BlockStatus.IoError && length is null))
        {
            _hasReportedLoss = true;
        }

        return DiskErrors.ToException(status, _device.Info.Name, doing, offset, length, cancellationToken);
    }

    // Safety: the pin outlives the request, because it is disposed of only after the request's task has completed.
    private static unsafe BlockBuffers Buffers(in MemoryHandle pin, int length) => BlockBuffers.Of((nint)pin.Pointer, length);
}
