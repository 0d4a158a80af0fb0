using System.Numerics;
using VhdCore.Devices;
using VhdCore.Errors;

namespace VhdCore.Operations;

/// <summary>Copies one disk's content to another.</summary>
public static class ConvertOperation
{
    /// <summary>Bytes that a worker moves at a time.</summary>
    internal const int WindowSize = 1 << 20;

    private const int MaxJobs = 64;
    private const long MaxZeroLength = 256L << 20; // bytes zeroed in one request: a cancelled copy need not wait longer than that takes

    /// <summary>
    /// Copies <paramref name="source"/> over the first bytes of <paramref name="target"/>, and makes them durable. What the source's tables know to be zero is
    /// never read. What the target has behind the source's end stays as it is.
    /// </summary>
    /// <param name="source">Read only.</param>
    /// <param name="target">At least as long.</param>
    /// <param name="options">How; null takes the defaults.</param>
    /// <param name="progress">Told after each range, from any thread, one report at a time.</param>
    /// <param name="cancellationToken">Stops the copy; what was written stays.</param>
    /// <exception cref="ArgumentException">The target is shorter than the source, or an option is out of its range.</exception>
    /// <exception cref="ImageException">Reading or writing failed, or what was read again differs; the path says which side.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<ConvertResult> RunAsync(
        IBlockDevice source,
        IBlockDevice target,
        ConvertOptions? options = null,
        IProgress<OperationProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(target);
        options ??= new ConvertOptions();
        var jobs = JobCount(options.Jobs);
        CheckSparseSize(options.SparseSize);
        var length = source.Length;
        if (target.Length < length)
        {
            throw new ArgumentException($"The target has {target.Length} bytes, the source {length}.", nameof(target));
        }

        var copy = new Copy(source, target, options, length, jobs, new ProgressMeter(progress, "convert", length));
        ConvertResult result;
        using (copy)
        {
            result = await copy.RunAsync(cancellationToken).ConfigureAwait(false);
        }

        await DeviceRequest.FlushAsync(target, cancellationToken).ConfigureAwait(false);
        if (options.Verify)
        {
            await VerifyAsync(source, target, jobs, progress, cancellationToken).ConfigureAwait(false);
        }

        return result;
    }

    /// <summary>Compares a finished copy with its source, over the source's length.</summary>
    /// <exception cref="ImageException">They differ, or reading failed.</exception>
    public static async Task VerifyAsync(
        IBlockDevice source,
        IBlockDevice target,
        int? jobs = null,
        IProgress<OperationProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(target);
        var compared = await CompareOperation.RunAsync(
            source, target, new CompareOptions { Jobs = jobs, Length = source.Length }, progress, "verify", cancellationToken).ConfigureAwait(false);
        if (!compared.AreIdentical)
        {
            throw new StorageException(
                $"what was written differs from '{source.Info.Name}' at offset {compared.DifferenceOffset} of the disk. "
                + "Do not use this copy: the medium, the memory or another program changed it. Convert again, to another medium if it happens again.",
                target.Info.Name);
        }
    }

    internal static int JobCount(int? jobs)
    {
        var count = jobs ?? Math.Min(4, Environment.ProcessorCount);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1, nameof(jobs));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaxJobs, nameof(jobs));
        return count;
    }

    internal static void CheckSparseSize(int size)
    {
        if (size != 0 && (size < 512 || size > WindowSize || !BitOperations.IsPow2(size)))
        {
            throw new ArgumentException($"A sparse size of {size} is neither 0 nor a power of two from 512 to {WindowSize}.", nameof(size));
        }
    }

    /// <summary>One copy under way: a buffer for each worker, and the counts.</summary>
    private sealed class Copy(IBlockDevice source, IBlockDevice target, ConvertOptions options, long length, int jobs, ProgressMeter progress) : IDisposable
    {
        private readonly WorkerBuffer?[] _buffers = new WorkerBuffer?[jobs];
        private readonly TargetWriter _writer = new(target, options);
        private readonly RangeCloner? _cloner = options is { AllowCloning: true, TargetIsZero: true, SparseSize: not 0 } ? RangeCloner.Create(source, target) : null;
        private long _cloned;
        private long _read;

        public async Task<ConvertResult> RunAsync(CancellationToken cancellationToken)
        {
            var windows = new DiskWindows(source, length, WindowSize);
            using var workers = new ItemWorkers<DiskWindow>(jobs, options.WriteInOrder);
            await workers.RunAsync(
                token => windows.NextAsync(MaxZeroLength, token),
                CopyAsync,
                cancellationToken).ConfigureAwait(false);
            return new ConvertResult(_read, _writer.BytesWritten, _writer.BytesZero) { BytesCloned = _cloned };
        }

        public void Dispose()
        {
            foreach (var buffer in _buffers)
            {
                buffer?.Dispose();
            }
        }

        private async ValueTask CopyAsync(DiskWindow window, int worker, ItemWorkers<DiskWindow>.Turn turn, CancellationToken cancellationToken)
        {
            if (window.IsZero)
            {
                await turn.WaitAsync(cancellationToken).ConfigureAwait(false);
                await _writer.ZeroAsync(window.Offset, window.Length, cancellationToken).ConfigureAwait(false);
            }
            else if (!await TryCloneAsync(window, turn, cancellationToken).ConfigureAwait(false))
            {
                var buffer = _buffers[worker] ??= new WorkerBuffer(WindowSize);
                await ReadAsync(window, buffer, cancellationToken).ConfigureAwait(false);
                await turn.WaitAsync(cancellationToken).ConfigureAwait(false);
                await _writer.WriteAsync(window.Offset, buffer, (int)window.Length, cancellationToken).ConfigureAwait(false);
            }

            progress.Add(window.Length);
        }

        private async ValueTask<bool> TryCloneAsync(DiskWindow window, ItemWorkers<DiskWindow>.Turn turn, CancellationToken cancellationToken)
        {
            if (_cloner is null)
            {
                return false;
            }

            await turn.WaitAsync(cancellationToken).ConfigureAwait(false);
            long cloned = 0;
            foreach (var range in window.Data)
            {
                if (!await _cloner.TryCloneAsync(range, cancellationToken).ConfigureAwait(false))
                {
                    return false;
                }

                cloned += range.Length;
            }

            Interlocked.Add(ref _cloned, cloned);
            _writer.AddZero(window.Length - cloned);
            return true;
        }

        private async ValueTask ReadAsync(DiskWindow window, WorkerBuffer buffer, CancellationToken cancellationToken)
        {
            var filled = 0;
            foreach (var range in window.Data)
            {
                var start = (int)(range.Offset - window.Offset);
                buffer.Span(filled, start - filled).Clear();
                await DeviceRequest.ReadAsync(source, range.Offset, buffer.Slice(start, (int)range.Length), cancellationToken).ConfigureAwait(false);
                Interlocked.Add(ref _read, range.Length);
                filled = start + (int)range.Length;
            }

            buffer.Span(filled, (int)window.Length - filled).Clear();
        }
    }
}
