using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCli.Targets;

/// <summary>A disk that goes down a stream: written once, from its start to its end. One request at a time.</summary>
internal sealed class StreamDevice(Stream stream, string name, long length) : IBlockDevice
{
    private static readonly byte[] Zeros = new byte[64 << 10];

    private long _position;

    public BlockDeviceInfo Info { get; } = new() { Name = name };

    public long Length => length;

    /// <summary>What the stream said when it failed.</summary>
    public IOException? Failure { get; private set; }

    public event Action<long>? Resized
    {
        add { }
        remove { }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(BlockStatus.Unsupported);

    public ValueTask<BlockStatus> WriteAsync(
        long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Write(offset, from.Length, (start, count) => from.SpanAt(start, count)));

    public ValueTask<BlockStatus> ZeroAsync(
        long offset, long count, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Write(offset, count, static (_, left) => Zeros.AsSpan(0, (int)Math.Min(left, Zeros.Length))));

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            stream.Flush();
            return ValueTask.FromResult(BlockStatus.Ok);
        }
        catch (IOException failure)
        {
            Failure = failure;
            return ValueTask.FromResult(BlockStatus.IoError);
        }
    }

    public ValueTask<BlockStatus> TrimAsync(long offset, long count, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(BlockStatus.Ok);

    public ValueTask<BlockRun> MapAsync(long offset, long count, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(new BlockRun(BlockStatus.Unsupported, offset, count, 0, false, false, -1));

    public ValueTask DisposeAsync() => stream.DisposeAsync();

    private BlockStatus Write(long offset, long count, Func<long, long, ReadOnlySpan<byte>> bytesAt)
    {
        if (offset != _position || count > length - offset)
        {
            return BlockStatus.OutOfRange; // there is no way back in a stream, nor a way ahead
        }

        try
        {
            for (long start = 0; start < count;)
            {
                var bytes = bytesAt(start, count - start);
                stream.Write(bytes);
                start += bytes.Length;
                _position += bytes.Length;
            }

            return BlockStatus.Ok;
        }
        catch (IOException failure)
        {
            Failure = failure;
            return BlockStatus.IoError;
        }
    }
}
