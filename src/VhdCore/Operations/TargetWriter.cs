using VhdCore.Devices;

namespace VhdCore.Operations;

/// <summary>Writes what an operation has read, and leaves out or zeros what the options say. Any thread.</summary>
internal sealed class TargetWriter(IBlockDevice target, ConvertOptions options)
{
    // Where zeros have to be written or punched, runs below this size cost less as part of the write around them.
    private const int MinZeroRequest = 64 << 10; // bytes

    private readonly int _grain = options.TargetIsZero || options.SparseSize == 0 ? options.SparseSize : Math.Max(options.SparseSize, MinZeroRequest);
    private long _written;
    private long _zero;

    /// <summary>Bytes written.</summary>
    public long BytesWritten => Volatile.Read(ref _written);

    /// <summary>Bytes of zeros that were not written.</summary>
    public long BytesZero => Volatile.Read(ref _zero);

    /// <summary>Writes the first bytes of a buffer.</summary>
    /// <exception cref="Errors.ImageException">The target refused.</exception>
    public async ValueTask WriteAsync(long offset, WorkerBuffer buffer, int length, CancellationToken cancellationToken)
    {
        var start = 0;
        while (start < length)
        {
            var run = ZeroScan.FirstRun(buffer.Span(start, length - start), _grain, out var isZero);
            if (isZero)
            {
                await ZeroAsync(offset + start, run, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await DeviceRequest.WriteAsync(target, offset + start, buffer.Slice(start, run), cancellationToken).ConfigureAwait(false);
                Interlocked.Add(ref _written, run);
            }

            start += run;
        }
    }

    /// <summary>Makes a range zeros.</summary>
    /// <exception cref="Errors.ImageException">The target refused.</exception>
    public async ValueTask ZeroAsync(long offset, long count, CancellationToken cancellationToken)
    {
        if (options.SparseSize == 0)
        {
            await DeviceRequest.WriteZerosAsync(target, offset, count, cancellationToken).ConfigureAwait(false);
            Interlocked.Add(ref _written, count);
            return;
        }

        if (!options.TargetIsZero)
        {
            await DeviceRequest.ZeroAsync(target, offset, count, cancellationToken).ConfigureAwait(false);
        }

        AddZero(count);
    }

    /// <summary>Counts zeros that needed nothing.</summary>
    public void AddZero(long count) => Interlocked.Add(ref _zero, count);
}
