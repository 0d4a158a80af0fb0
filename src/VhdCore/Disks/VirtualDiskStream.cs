namespace VhdCore.Disks;

/// <summary>A disk as a stream of fixed length.</summary>
/// <remarks>
/// Reads and writes take their range off the position before they begin, so concurrent ones get ranges that do not overlap, one behind the other.
/// A request that fails leaves the position behind its range.
/// </remarks>
internal sealed class VirtualDiskStream(VirtualDisk disk) : Stream
{
    private long _position;
    private volatile bool _isClosed;

    public override bool CanRead => !_isClosed;

    public override bool CanSeek => !_isClosed;

    public override bool CanWrite => !_isClosed && !disk.IsReadOnly;

    public override long Length
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            return disk.Length;
        }
    }

    public override long Position
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            return Interlocked.Read(ref _position);
        }

        set
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            Interlocked.Exchange(ref _position, value);
        }
    }

    public override long Seek(long offset, SeekOrigin origin)
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        while (true)
        {
            var before = Interlocked.Read(ref _position);
            var start = origin switch
            {
                SeekOrigin.Begin => 0,
                SeekOrigin.Current => before,
                SeekOrigin.End => disk.Length,
                _ => throw new ArgumentOutOfRangeException(nameof(origin), origin, "Not an origin."),
            };
            if (offset > long.MaxValue - start || start + offset < 0)
            {
                throw new IOException($"{offset} bytes from {start} is no position.");
            }

            if (Interlocked.CompareExchange(ref _position, start + offset, before) == before)
            {
                return start + offset;
            }
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var (offset, count) = TakeForReading(buffer.Length);
        if (count > 0)
        {
            await disk.ReadAsync(offset, buffer[..count], cancellationToken).ConfigureAwait(false);
        }

        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        var (start, length) = TakeForReading(count);
        if (length > 0)
        {
            Wait(disk.ReadAsync(start, buffer.AsMemory(offset, length)));
        }

        return length;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            var offset = TakeForWriting(buffer.Length);
            return buffer.Length == 0 ? default : disk.WriteAsync(offset, buffer, cancellationToken: cancellationToken);
        }
        catch (Exception exception) when (exception is NotSupportedException or ObjectDisposedException)
        {
            return ValueTask.FromException(exception);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        Wait(WriteAsync(buffer.AsMemory(offset, count)));
    }

    public override void Flush() => Wait(FlushDiskAsync(CancellationToken.None));

    public override Task FlushAsync(CancellationToken cancellationToken) => FlushDiskAsync(cancellationToken).AsTask();

    public override void SetLength(long value) => throw new NotSupportedException("A disk's length is fixed.");

    protected override void Dispose(bool disposing)
    {
        _isClosed = true;
        base.Dispose(disposing);
    }

    private static void Wait(ValueTask request)
    {
        if (request.IsCompletedSuccessfully)
        {
            request.GetAwaiter().GetResult();
        }
        else
        {
            request.AsTask().GetAwaiter().GetResult();
        }
    }

    private ValueTask FlushDiskAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        return disk.IsReadOnly ? default : disk.FlushAsync(cancellationToken);
    }

    private (long Offset, int Count) TakeForReading(int wanted)
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        while (true)
        {
            var offset = Interlocked.Read(ref _position);
            var count = (int)Math.Clamp(disk.Length - offset, 0, wanted);
            if (Interlocked.CompareExchange(ref _position, offset + count, offset) == offset)
            {
                return (offset, count);
            }
        }
    }

    private long TakeForWriting(int count)
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        if (disk.IsReadOnly)
        {
            throw new NotSupportedException("The disk is open for reading only.");
        }

        while (true)
        {
            var offset = Interlocked.Read(ref _position);
            if (offset > disk.Length || count > disk.Length - offset)
            {
                throw new NotSupportedException($"{count} bytes at {offset} pass the disk's end at {disk.Length}, and a disk's length is fixed.");
            }

            if (Interlocked.CompareExchange(ref _position, offset + count, offset) == offset)
            {
                return offset;
            }
        }
    }
}
