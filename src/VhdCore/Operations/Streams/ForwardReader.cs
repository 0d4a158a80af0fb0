namespace VhdCore.Operations.Streams;

/// <summary>Bytes from a stream, forwards only, the front of which can be looked at first. One request at a time.</summary>
internal sealed class ForwardReader(Stream stream)
{
    private const int ChunkSize = 1 << 20; // bytes

    private byte[]? _chunk;
    private byte[] _front = [];
    private int _frontLength;
    private int _frontUsed;

    /// <summary>Bytes given out.</summary>
    public long Position { get; private set; }

    /// <summary>The first <paramref name="count"/> bytes of the stream, or all there are. Before any is read.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> PeekAsync(int count, CancellationToken cancellationToken)
    {
        System.Diagnostics.Debug.Assert(Position == 0);
        while (_frontLength < count)
        {
            var more = await ReceiveAsync(count - _frontLength, cancellationToken).ConfigureAwait(false);
            if (more.IsEmpty)
            {
                break;
            }

            if (_front.Length < _frontLength + more.Length)
            {
                Array.Resize(ref _front, (int)Math.Min(count, Math.Max(4096, 2L * (_frontLength + more.Length))));
            }

            more.CopyTo(_front.AsMemory(_frontLength));
            _frontLength += more.Length;
        }

        return _front.AsMemory(0, Math.Min(count, _frontLength));
    }

    /// <summary>The next bytes, at least one but no more than <paramref name="max"/>; none at the stream's end. Good until the next request.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> NextAsync(long max, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> bytes;
        if (_frontUsed < _frontLength)
        {
            bytes = _front.AsMemory(_frontUsed, (int)Math.Min(max, _frontLength - _frontUsed));
            _frontUsed += bytes.Length;
        }
        else
        {
            _front = [];
            bytes = await ReceiveAsync(max, cancellationToken).ConfigureAwait(false);
        }

        Position += bytes.Length;
        return bytes;
    }

    /// <summary>Fills a part of a buffer, unless the stream ends before.</summary>
    /// <returns>Bytes that came.</returns>
    public async ValueTask<int> ReadAsync(WorkerBuffer into, int start, int count, CancellationToken cancellationToken)
    {
        var filled = 0;
        while (filled < count && await NextAsync(count - filled, cancellationToken).ConfigureAwait(false) is { IsEmpty: false } bytes)
        {
            bytes.Span.CopyTo(into.Span(start + filled, bytes.Length));
            filled += bytes.Length;
        }

        return filled;
    }

    /// <summary>Fills all of <paramref name="into"/>, unless the stream ends before.</summary>
    /// <returns>Bytes that came.</returns>
    public async ValueTask<int> ReadAsync(Memory<byte> into, CancellationToken cancellationToken)
    {
        var filled = 0;
        while (filled < into.Length && await NextAsync(into.Length - filled, cancellationToken).ConfigureAwait(false) is { IsEmpty: false } bytes)
        {
            bytes.CopyTo(into[filled..]);
            filled += bytes.Length;
        }

        return filled;
    }

    /// <summary>Leaves bytes out.</summary>
    /// <returns>False where the stream ended before.</returns>
    public async ValueTask<bool> SkipAsync(long count, CancellationToken cancellationToken)
    {
        while (count > 0)
        {
            var bytes = await NextAsync(count, cancellationToken).ConfigureAwait(false);
            if (bytes.IsEmpty)
            {
                return false;
            }

            count -= bytes.Length;
        }

        return true;
    }

    // A writer that stands still keeps a read waiting for good, and many streams do not notice a cancellation: the chunk is left to the read then.
    private async ValueTask<ReadOnlyMemory<byte>> ReceiveAsync(long max, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var chunk = _chunk ??= GC.AllocateUninitializedArray<byte>(ChunkSize);
        var read = stream.ReadAsync(chunk.AsMemory(0, (int)Math.Min(max, ChunkSize)), cancellationToken);
        try
        {
            var count = read.IsCompletedSuccessfully ? read.Result : await read.AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
            return chunk.AsMemory(0, count);
        }
        catch (OperationCanceledException)
        {
            _chunk = null;
            throw;
        }
    }
}
