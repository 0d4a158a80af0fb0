using VhdCore.Primitives;

namespace VhdCore.Operations.Streams;

/// <summary>Bytes down a stream, one request at a time. What is given to the stream is a copy: a write that is abandoned when it is cancelled touches nobody's memory.</summary>
internal sealed class ForwardStream(Stream stream)
{
    private const int ChunkSize = 1 << 20; // bytes

    private byte[]? _chunk = GC.AllocateUninitializedArray<byte>(ChunkSize);
    private byte[]? _zeros;

    /// <summary>Bytes that went down.</summary>
    public long Position { get; private set; }

    /// <summary>Writes all of a request's memory.</summary>
    /// <exception cref="IOException">The stream failed.</exception>
    public async ValueTask WriteAsync(BlockBuffers from, long start, long length, CancellationToken cancellationToken)
    {
        while (length > 0)
        {
            var chunk = Chunk();
            var count = (int)Math.Min(length, chunk.Length);
            from.CopyTo(start, chunk.AsSpan(0, count));
            await SendAsync(chunk.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
            start += count;
            length -= count;
        }
    }

    /// <summary>Writes bytes that nobody changes before this has returned, nor after a cancellation.</summary>
    /// <exception cref="IOException">The stream failed.</exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => SendAsync(bytes, cancellationToken);

    /// <summary>Writes zeros.</summary>
    /// <exception cref="IOException">The stream failed.</exception>
    public async ValueTask WriteZerosAsync(long length, CancellationToken cancellationToken)
    {
        _zeros ??= new byte[ChunkSize];
        while (length > 0)
        {
            var count = (int)Math.Min(length, _zeros.Length);
            await SendAsync(_zeros.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
            length -= count;
        }
    }

    public Task FlushAsync(CancellationToken cancellationToken) => stream.FlushAsync(cancellationToken).WaitAsync(cancellationToken);

    private byte[] Chunk() => _chunk ?? throw new ObjectDisposedException(nameof(ForwardStream));

    // A reader that stands still keeps a write waiting for good, and many streams do not notice a cancellation.
    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var write = stream.WriteAsync(bytes, cancellationToken);
        if (write.IsCompletedSuccessfully)
        {
            await write.ConfigureAwait(false);
        }
        else
        {
            try
            {
                await write.AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                _chunk = null; // perhaps still the stream's
                throw;
            }
        }

        Position += bytes.Length;
    }
}
