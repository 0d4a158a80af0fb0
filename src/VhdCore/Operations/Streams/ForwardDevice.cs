using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Operations.Streams;

/// <summary>A disk that goes down a stream as an image: written once, from its start to its end. One request at a time.</summary>
internal abstract class ForwardDevice(Stream stream, string name, long length) : IBlockDevice
{
    private long _position; // bytes of disk

    public BlockDeviceInfo Info { get; } = new() { Name = name };

    /// <summary>Bytes that may be written; <see cref="long.MaxValue"/> where the disk's end is not known yet.</summary>
    public long Length => length;

    public event Action<long>? Resized
    {
        add { }
        remove { }
    }

    protected ForwardStream Output { get; } = new(stream);

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(BlockStatus.Unsupported);

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        AdvanceAsync(offset, from.Length, from, cancellationToken);

    public ValueTask<BlockStatus> ZeroAsync(long offset, long count, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        AdvanceAsync(offset, count, null, cancellationToken);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.Ok);

    public ValueTask<BlockStatus> TrimAsync(long offset, long count, CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.Ok);

    public ValueTask<BlockRun> MapAsync(long offset, long count, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(new BlockRun(BlockStatus.Unsupported, offset, count, 0, false, false, -1));

    public ValueTask DisposeAsync() => ValueTask.CompletedTask; // the stream is its owner's

    /// <summary>Writes what comes before the disk's first byte.</summary>
    /// <exception cref="IOException">The stream failed.</exception>
    public virtual ValueTask BeginAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>Writes what comes behind the disk's last byte.</summary>
    /// <param name="diskLength">Bytes of disk.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="IOException">The stream failed.</exception>
    public async ValueTask CompleteAsync(long diskLength, CancellationToken cancellationToken)
    {
        var end = EndOf(diskLength);
        if (_position > end)
        {
            throw new StorageException($"{_position - end} bytes too many went down the pipe before its source said where the disk ends. Save the source to a file, and convert that.", Info.Name);
        }

        await PutAsync(_position, end - _position, null, cancellationToken).ConfigureAwait(false);
        await EndAsync(end, cancellationToken).ConfigureAwait(false);
        await Output.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Bytes that a disk of so many has in the image.</summary>
    protected abstract long EndOf(long diskLength);

    /// <summary>Sends the next bytes of disk.</summary>
    /// <param name="offset">Where on the disk they lie.</param>
    /// <param name="count">How many.</param>
    /// <param name="bytes">The bytes; null are zeros.</param>
    /// <param name="cancellationToken">Ends it.</param>
    protected abstract ValueTask PutAsync(long offset, long count, BlockBuffers? bytes, CancellationToken cancellationToken);

    /// <summary>Sends what follows the disk.</summary>
    protected virtual ValueTask EndAsync(long end, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>Sends bytes or zeros as they are.</summary>
    protected ValueTask SendAsync(BlockBuffers? bytes, long start, long count, CancellationToken cancellationToken) =>
        bytes is { } memory ? Output.WriteAsync(memory, start, count, cancellationToken) : Output.WriteZerosAsync(count, cancellationToken);

    // A stream's failure stays an exception, because it says more than a status can; the operation that writes here is the only caller.
    private async ValueTask<BlockStatus> AdvanceAsync(long offset, long count, BlockBuffers? bytes, CancellationToken cancellationToken)
    {
        if (offset != _position || count < 0 || count > length - offset)
        {
            return BlockStatus.OutOfRange; // there is no way back in a stream, nor a way ahead
        }

        try
        {
            await PutAsync(offset, count, bytes, cancellationToken).ConfigureAwait(false);
            _position += count;
            return BlockStatus.Ok;
        }
        catch (OperationCanceledException)
        {
            return BlockStatus.Cancelled;
        }
    }
}
