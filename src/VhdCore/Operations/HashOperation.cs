using System.Security.Cryptography;
using VhdCore.Devices;
using VhdCore.Errors;

namespace VhdCore.Operations;

/// <summary>Hashes a disk's whole content. Two disks of the same bytes have the same hash, whatever their formats.</summary>
public static class HashOperation
{
    private const long MaxZeroLength = 256L << 20; // bytes; a plain hash has to go through zeros too
    private const string Phase = "hash";

    /// <summary>SHA-256 of the content, as if the disk were one raw file. Known zeros are hashed without being read.</summary>
    /// <param name="device">The disk.</param>
    /// <param name="progress">Told after each range, from any thread, one report at a time.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>32 bytes.</returns>
    /// <exception cref="ImageException">Reading failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<byte[]> RunAsync(
        IBlockDevice device, IProgress<OperationProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var zeros = new byte[64 << 10];
        await ReadInOrderAsync(
            device,
            (window, buffer) =>
            {
                if (!window.IsZero)
                {
                    hash.AppendData(buffer.Span(0, (int)window.Length));
                    return;
                }

                for (var left = window.Length; left > 0; left -= Math.Min(left, zeros.Length))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    hash.AppendData(zeros, 0, (int)Math.Min(left, zeros.Length));
                }
            },
            progress,
            cancellationToken).ConfigureAwait(false);
        return hash.GetHashAndReset();
    }

    /// <summary>
    /// The tree hash of the content, as docs/tree-hash.md defines it: SHA-256 over blocks of 1 MiB, joined by a binary tree. Computed on all cores;
    /// known zeros cost next to nothing.
    /// </summary>
    /// <param name="device">The disk.</param>
    /// <param name="jobs">Workers; each takes up to sixteen blocks at once, and 4 MiB of memory. From 1 to 64; null takes the number of cores, at most four.</param>
    /// <param name="progress">Told after each range, from any thread, one report at a time.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>32 bytes.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="jobs"/> is out of its range.</exception>
    /// <exception cref="ImageException">Reading failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<byte[]> RunTreeAsync(
        IBlockDevice device, int? jobs = null, IProgress<OperationProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        var tree = new TreeHash();
        var groups = new TreeHashGroups(device);
        var meter = new ProgressMeter(progress, Phase, device.Length);
        var hashers = new TreeHashWorker?[ConvertOperation.JobCount(jobs)];
        try
        {
            using var workers = new ItemWorkers<TreeHashGroup>(hashers.Length, ordered: true);
            await workers.RunAsync(
                groups.NextAsync,
                async (group, worker, turn, token) =>
                {
                    var hasher = hashers[worker] ??= new TreeHashWorker(device);
                    var leaves = await hasher.HashAsync(group, token).ConfigureAwait(false);
                    await turn.WaitAsync(token).ConfigureAwait(false);
                    tree.Append(group, leaves);
                    meter.Add(group.Length);
                },
                cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            foreach (var hasher in hashers)
            {
                hasher?.Dispose();
            }
        }

        return tree.Root(device.Length);
    }

    /// <summary>Reads windows side by side, one ahead of the one that is taken, and takes them in order.</summary>
    private static async Task ReadInOrderAsync(
        IBlockDevice device, Action<DiskWindow, WorkerBuffer> take, IProgress<OperationProgress>? progress, CancellationToken cancellationToken)
    {
        var windows = new DiskWindows(device, device.Length, ConvertOperation.WindowSize);
        var meter = new ProgressMeter(progress, Phase, device.Length);
        using var first = new WorkerBuffer(ConvertOperation.WindowSize);
        using var second = new WorkerBuffer(ConvertOperation.WindowSize);
        using var workers = new ItemWorkers<DiskWindow>(jobs: 2, ordered: true);
        await workers.RunAsync(
            token => windows.NextAsync(MaxZeroLength, token),
            async (window, worker, turn, token) =>
            {
                var buffer = worker == 0 ? first : second;
                var filled = 0;
                foreach (var range in window.Data)
                {
                    var start = (int)(range.Offset - window.Offset);
                    buffer.Span(filled, start - filled).Clear();
                    await DeviceRequest.ReadAsync(device, range.Offset, buffer.Slice(start, (int)range.Length), token).ConfigureAwait(false);
                    filled = start + (int)range.Length;
                }

                if (!window.IsZero)
                {
                    buffer.Span(filled, (int)window.Length - filled).Clear();
                }

                await turn.WaitAsync(token).ConfigureAwait(false);
                take(window, buffer);
                meter.Add(window.Length);
            },
            cancellationToken).ConfigureAwait(false);
    }
}
