using System.Runtime.CompilerServices;
using VhdCore.Devices;
using VhdCore.Errors;

namespace VhdCore.Operations;

/// <summary>Lists where a disk's bytes are.</summary>
public static class MapOperation
{
    /// <summary>The runs of a range in order, neighbours of the same kind merged. They cover the range without gaps.</summary>
    /// <param name="device">The disk.</param>
    /// <param name="offset">Bytes; where to begin. Behind the disk's end there are no runs.</param>
    /// <param name="length">Bytes; null and whatever passes the end mean up to it.</param>
    /// <param name="cancellationToken">Ends the listing.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="offset"/> or <paramref name="length"/> is negative.</exception>
    /// <exception cref="ImageException">A table could not be read, or is not possible.</exception>
    public static IAsyncEnumerable<BlockRun> RunAsync(
        IBlockDevice device, long offset = 0, long? length = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length ?? 0, nameof(length));
        var available = Math.Max(0, device.Length - offset);
        return ListAsync(device, offset, offset + Math.Min(length ?? available, available), cancellationToken);
    }

    private static async IAsyncEnumerable<BlockRun> ListAsync(
        IBlockDevice device, long offset, long end, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        BlockRun? pending = null;
        while (offset < end)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = await DeviceRequest.MapAsync(device, offset, end - offset, cancellationToken).ConfigureAwait(false);
            offset += run.Length;
            if (pending is not { } last)
            {
                pending = run;
            }
            else if (Continues(last, run))
            {
                pending = last with { Length = last.Length + run.Length };
            }
            else
            {
                yield return last;
                pending = run;
            }
        }

        if (pending is { } rest)
        {
            yield return rest;
        }
    }

    private static bool Continues(in BlockRun last, in BlockRun next) =>
        last.Depth == next.Depth && last.IsPresent == next.IsPresent && last.IsZero == next.IsZero
        && (last.StorageOffset < 0 ? next.StorageOffset < 0 : next.StorageOffset == last.StorageOffset + last.Length);
}
