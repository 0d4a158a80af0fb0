using VhdCore.Devices;

namespace VhdCore.Operations;

/// <summary>A part of a disk that one worker deals with at a time.</summary>
/// <param name="Offset">Bytes; a multiple of the window size.</param>
/// <param name="Length">Bytes: one window, or several where all of it is known zero; less only at the disk's end.</param>
/// <param name="Data">The runs in it that are not known to be zeros, in order; empty when all of it is.</param>
internal readonly record struct DiskWindow(long Offset, long Length, IReadOnlyList<DiskRange> Data)
{
    public bool IsZero => Data.Count == 0;

    public long End => Offset + Length;
}

/// <summary>A range of a disk, in bytes.</summary>
internal readonly record struct DiskRange(long Offset, long Length);

/// <summary>Cuts a disk into windows by its map. Not for several threads at once.</summary>
internal sealed class DiskWindows(IBlockDevice device, long end, int windowSize)
{
    private long _offset;
    private BlockRun _run; // the run that _offset lies in, or one that has been used up

    /// <summary>The next window, or null at the end.</summary>
    /// <param name="maxZeroLength">Bytes that a window of zeros may have; a multiple of the window size.</param>
    /// <param name="cancellationToken">Ends the wait for table pages.</param>
    public async ValueTask<DiskWindow?> NextAsync(long maxZeroLength, CancellationToken cancellationToken)
    {
        if (_offset >= end)
        {
            return null;
        }

        var start = _offset;
        var windowEnd = end - start <= windowSize ? end : start + windowSize;
        var zeroEnd = end - start <= maxZeroLength ? end : start + maxZeroLength;
        List<DiskRange>? data = null;
        while (_offset < windowEnd)
        {
            await LoadRunAsync(cancellationToken).ConfigureAwait(false);
            var runEnd = _run.Offset + _run.Length;
            if (_run.IsZero && data is null && runEnd >= windowEnd && windowEnd < zeroEnd)
            {
                // Everything so far is zero: the window grows by whole windows as long as zeros follow.
                var whole = start + ((runEnd - start) / windowSize * windowSize);
                windowEnd = Math.Min(zeroEnd, Math.Max(whole, windowEnd + windowSize));
            }
            else
            {
                var stop = Math.Min(runEnd, windowEnd);
                if (!_run.IsZero)
                {
                    var lastWhole = start + ((_offset - start) / windowSize * windowSize);
                    if (lastWhole > start)
                    {
                        // Data came up in a window that zeros had grown into: it begins the next one.
                        _offset = lastWhole;
                        return new DiskWindow(start, lastWhole - start, []);
                    }

                    Append(data ??= [], _offset, stop - _offset);
                }

                _offset = stop;
            }
        }

        return new DiskWindow(start, windowEnd - start, data ?? (IReadOnlyList<DiskRange>)[]);
    }

    private async ValueTask LoadRunAsync(CancellationToken cancellationToken)
    {
        if (_offset < _run.Offset || _offset >= _run.Offset + _run.Length)
        {
            _run = await DeviceRequest.MapAsync(device, _offset, end - _offset, cancellationToken).ConfigureAwait(false);
        }
    }

    private static void Append(List<DiskRange> ranges, long offset, long length)
    {
        if (ranges.Count > 0 && ranges[^1].Offset + ranges[^1].Length == offset)
        {
            ranges[^1] = ranges[^1] with { Length = ranges[^1].Length + length };
        }
        else
        {
            ranges.Add(new DiskRange(offset, length));
        }
    }
}
