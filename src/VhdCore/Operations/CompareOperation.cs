using VhdCore.Devices;
using VhdCore.Errors;

namespace VhdCore.Operations;

/// <summary>Compares two disks' contents.</summary>
public static class CompareOperation
{
    private const long MaxZeroLength = 1L << 40; // bytes passed over in one step; both sides' tables say zero

    /// <summary>Finds the first difference. What both sides' tables know to be zero is not read.</summary>
    /// <param name="first">One disk.</param>
    /// <param name="second">The other.</param>
    /// <param name="options">How; null takes the defaults.</param>
    /// <param name="progress">Told after each range, from any thread, one report at a time.</param>
    /// <param name="cancellationToken">Stops the comparison.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="ImageException">Reading failed; the path says which side.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Task<CompareResult> RunAsync(
        IBlockDevice first,
        IBlockDevice second,
        CompareOptions? options = null,
        IProgress<OperationProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        RunAsync(first, second, options ?? new CompareOptions(), progress, "compare", cancellationToken);

    internal static async Task<CompareResult> RunAsync(
        IBlockDevice first,
        IBlockDevice second,
        CompareOptions options,
        IProgress<OperationProgress>? progress,
        string phase,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ArgumentOutOfRangeException.ThrowIfNegative(options.Length ?? 0, nameof(options));
        var jobs = ConvertOperation.JobCount(options.Jobs);
        var limit = options.Length ?? long.MaxValue;
        var firstLength = Math.Min(first.Length, limit);
        var secondLength = Math.Min(second.Length, limit);
        var lengthsDiffer = firstLength != secondLength;
        if (options.Strict && lengthsDiffer)
        {
            return new CompareResult(CompareDifference.Length, -1, lengthsDiffer);
        }

        var allocation = options.Strict ? await FirstAllocationDifferenceAsync(first, second, firstLength, cancellationToken).ConfigureAwait(false) : -1;
        if (allocation >= 0)
        {
            firstLength = secondLength = allocation; // only what lies before it can differ earlier
        }

        var total = Math.Max(firstLength, secondLength);
        using var comparison = new Comparison(first, firstLength, second, secondLength, jobs, new ProgressMeter(progress, phase, total));
        var content = await comparison.RunAsync(cancellationToken).ConfigureAwait(false);
        return content >= 0 ? new CompareResult(CompareDifference.Content, content, lengthsDiffer)
            : allocation >= 0 ? new CompareResult(CompareDifference.Allocation, allocation, lengthsDiffer)
            : new CompareResult(CompareDifference.None, -1, lengthsDiffer);
    }

    private static async ValueTask<long> FirstAllocationDifferenceAsync(
        IBlockDevice first, IBlockDevice second, long length, CancellationToken cancellationToken)
    {
        BlockRun a = default;
        BlockRun b = default;
        for (long offset = 0; offset < length; offset = Math.Min(a.Offset + a.Length, b.Offset + b.Length))
        {
            if (offset >= a.Offset + a.Length)
            {
                a = await DeviceRequest.MapAsync(first, offset, length - offset, cancellationToken).ConfigureAwait(false);
            }

            if (offset >= b.Offset + b.Length)
            {
                b = await DeviceRequest.MapAsync(second, offset, length - offset, cancellationToken).ConfigureAwait(false);
            }

            if (a.IsPresent != b.IsPresent || a.IsZero != b.IsZero)
            {
                return offset;
            }
        }

        return -1;
    }

    /// <summary>One comparison under way.</summary>
    private sealed class Comparison(
        IBlockDevice first, long firstLength, IBlockDevice second, long secondLength, int jobs, ProgressMeter progress) : IDisposable
    {
        private readonly WorkerBuffer?[] _buffers = new WorkerBuffer?[jobs];
        private readonly DiskWindows _firstWindows = new(first, firstLength, ConvertOperation.WindowSize);
        private readonly DiskWindows _secondWindows = new(second, secondLength, ConvertOperation.WindowSize);
        private DiskWindow? _firstWindow;
        private DiskWindow? _secondWindow;
        private long _difference = long.MaxValue;

        public async Task<long> RunAsync(CancellationToken cancellationToken)
        {
            using var workers = new ItemWorkers<WindowPair>(jobs, ordered: false);
            await workers.RunAsync(PlanAsync, CompareAsync, cancellationToken).ConfigureAwait(false);
            return _difference == long.MaxValue ? -1 : _difference;
        }

        public void Dispose()
        {
            foreach (var buffer in _buffers)
            {
                buffer?.Dispose();
            }
        }

        // Items rise, so once one is known to differ no later one matters, and all earlier ones are in work already.
        private async ValueTask<WindowPair?> PlanAsync(CancellationToken cancellationToken)
        {
            while (Volatile.Read(ref _difference) == long.MaxValue)
            {
                _firstWindow ??= await _firstWindows.NextAsync(MaxZeroLength, cancellationToken).ConfigureAwait(false);
                _secondWindow ??= await _secondWindows.NextAsync(MaxZeroLength, cancellationToken).ConfigureAwait(false);
                if (_firstWindow is null && _secondWindow is null)
                {
                    return null;
                }

                // Behind a disk's end there are as many zeros as the other side asks for.
                var a = _firstWindow ?? new DiskWindow(_secondWindow!.Value.Offset, _secondWindow.Value.Length, []);
                var b = _secondWindow ?? new DiskWindow(a.Offset, a.Length, []);
                if (a.IsZero && b.IsZero)
                {
                    var both = _firstWindow is null || _secondWindow is null ? Math.Max(a.End, b.End) : Math.Min(a.End, b.End);
                    progress.Add(both - a.Offset);
                    _firstWindow = After(_firstWindow, both);
                    _secondWindow = After(_secondWindow, both);
                    continue;
                }

                var length = Math.Max(OneWindow(a), OneWindow(b));
                var end = a.Offset + length;
                _firstWindow = After(_firstWindow, end);
                _secondWindow = After(_secondWindow, end);
                return new WindowPair(a.Offset, (int)length, a.Data, b.Data);
            }

            return null;
        }

        private static long OneWindow(in DiskWindow window) => Math.Min(window.Length, ConvertOperation.WindowSize);

        private static DiskWindow? After(DiskWindow? window, long end) =>
            window is { } value && value.End > end ? value with { Offset = end, Length = value.End - end } : null;

        private async ValueTask CompareAsync(WindowPair pair, int worker, ItemWorkers<WindowPair>.Turn turn, CancellationToken cancellationToken)
        {
            if (pair.Offset < Volatile.Read(ref _difference))
            {
                var buffer = _buffers[worker] ??= new WorkerBuffer(2 * ConvertOperation.WindowSize);
                await ReadAsync(first, pair, pair.FirstData, buffer, 0, cancellationToken).ConfigureAwait(false);
                await ReadAsync(second, pair, pair.SecondData, buffer, ConvertOperation.WindowSize, cancellationToken).ConfigureAwait(false);
                var common = buffer.Span(0, pair.Length).CommonPrefixLength(buffer.Span(ConvertOperation.WindowSize, pair.Length));
                if (common < pair.Length)
                {
                    Lower(ref _difference, pair.Offset + common);
                }
            }

            progress.Add(pair.Length);
        }

        private static async ValueTask ReadAsync(
            IBlockDevice device, WindowPair pair, IReadOnlyList<DiskRange> data, WorkerBuffer buffer, int start, CancellationToken cancellationToken)
        {
            buffer.Span(start, pair.Length).Clear();
            foreach (var range in data)
            {
                var place = start + (int)(range.Offset - pair.Offset);
                await DeviceRequest.ReadAsync(device, range.Offset, buffer.Slice(place, (int)range.Length), cancellationToken).ConfigureAwait(false);
            }
        }

        private static void Lower(ref long place, long value)
        {
            var seen = Volatile.Read(ref place);
            while (value < seen)
            {
                var before = Interlocked.CompareExchange(ref place, value, seen);
                if (before == seen)
                {
                    return;
                }

                seen = before;
            }
        }
    }

    /// <summary>The same window of both disks. Behind a disk's end it has no data there.</summary>
    private readonly record struct WindowPair(long Offset, int Length, IReadOnlyList<DiskRange> FirstData, IReadOnlyList<DiskRange> SecondData);
}
