using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Operations;

/// <summary>Requests of an operation, whose failures are exceptions that name the side and the place.</summary>
internal static class DeviceRequest
{
    private const int ZeroChunkSize = 64 << 10; // bytes written at a time where a device cannot zero

    /// <exception cref="ImageException">The device refused.</exception>
    public static async ValueTask ReadAsync(IBlockDevice device, long offset, BlockBuffers into, CancellationToken cancellationToken)
    {
        var status = await device.ReadAsync(offset, into, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            throw Failure(device, "read", offset, into.Length, status, cancellationToken);
        }
    }

    /// <exception cref="ImageException">The device refused.</exception>
    public static async ValueTask WriteAsync(IBlockDevice device, long offset, BlockBuffers from, CancellationToken cancellationToken)
    {
        var status = await device.WriteAsync(offset, from, WriteFlags.None, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            throw Failure(device, "written", offset, from.Length, status, cancellationToken);
        }
    }

    /// <summary>Makes the range read as zeros, by writing them where the device cannot do better.</summary>
    /// <exception cref="ImageException">The device refused.</exception>
    public static async ValueTask ZeroAsync(IBlockDevice device, long offset, long length, CancellationToken cancellationToken)
    {
        var status = await device.ZeroAsync(offset, length, WriteFlags.None, cancellationToken).ConfigureAwait(false);
        if (status == BlockStatus.Unsupported)
        {
            await WriteZerosAsync(device, offset, length, cancellationToken).ConfigureAwait(false);
        }
        else if (status != BlockStatus.Ok)
        {
            throw Failure(device, "zeroed", offset, length, status, cancellationToken);
        }
    }

    /// <summary>Writes zeros out, so that the range takes space.</summary>
    /// <exception cref="ImageException">The device refused.</exception>
    public static async ValueTask WriteZerosAsync(IBlockDevice device, long offset, long length, CancellationToken cancellationToken)
    {
        using var zeros = new WorkerBuffer((int)Math.Min(ZeroChunkSize, Math.Max(length, 1)));
        zeros.Span(0, zeros.Size).Clear();
        while (length > 0)
        {
            var count = (int)Math.Min(zeros.Size, length);
            await WriteAsync(device, offset, zeros.Slice(0, count), cancellationToken).ConfigureAwait(false);
            offset += count;
            length -= count;
        }
    }

    /// <exception cref="ImageException">The device refused.</exception>
    public static async ValueTask FlushAsync(IBlockDevice device, CancellationToken cancellationToken)
    {
        var status = await device.FlushAsync(cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            throw Failure(device, "flushed", 0, device.Length, status, cancellationToken);
        }
    }

    /// <exception cref="ImageException">The device refused.</exception>
    public static async ValueTask<BlockRun> MapAsync(IBlockDevice device, long offset, long length, CancellationToken cancellationToken)
    {
        var run = await device.MapAsync(offset, length, cancellationToken).ConfigureAwait(false);
        if (run.Status != BlockStatus.Ok)
        {
            throw Failure(device, "mapped", offset, length, run.Status, cancellationToken);
        }

        if (run.Length < 1 || run.Length > length)
        {
            throw new InvalidOperationException($"The device answered a run of {run.Length} bytes when asked for at most {length}.");
        }

        return run;
    }

    private static Exception Failure(IBlockDevice device, string done, long offset, long length, BlockStatus status, CancellationToken cancellationToken)
    {
        if (status == BlockStatus.Cancelled)
        {
            return new OperationCanceledException(cancellationToken);
        }

        var name = device.Info.Name;
        var what = $"{length} bytes at offset {offset} of the disk could not be {done}: ";
        return status switch
        {
            BlockStatus.Corrupt => new CorruptImageException(
                what + "the image's tables contradict the format there. Run 'vhdkit check' on every image of the chain to see what is wrong.", name),
            BlockStatus.NoSpace => new StorageException(what + "the medium is full. Make room and try again.", name, status: status),
            BlockStatus.OutOfRange => new StorageException(what + "the range does not lie inside the disk, or an image is cut short.", name, status: status),
            BlockStatus.ReadOnly => new StorageException(what + "it is open for reading only, or became so after a failed flush.", name, status: status),
            BlockStatus.Unsupported => new StorageException(what + "the medium cannot do this.", name, status: status),
            BlockStatus.Closed => new StorageException(what + "it was closed meanwhile.", name, status: status),
            _ => new StorageException(what + "the medium failed. The system's log may say more.", name, status: status),
        };
    }
}
