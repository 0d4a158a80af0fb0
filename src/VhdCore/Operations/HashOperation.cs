using System.Security.Cryptography;
using VhdCore.Devices;
using VhdCore.Errors;

namespace VhdCore.Operations;

/// <summary>Hashes a disk's whole content. Two disks of the same bytes have the same hash, whatever their formats.</summary>
public static class HashOperation
{
    private const long MaxZeroLength = 256L << 20; // bytes; a plain hash has to go through zeros too
    private const long MaxZeroTree = 1L << 60; // bytes joined in at once

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
            jobs: 2, // one reads ahead while the other hashes
            MaxZeroLength,
            prepare: static _ => default(bool),
            (window, buffer, _) =>
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
    /// <param name="jobs">Blocks in work at once; each takes 1 MiB of memory. From 1 to 64; null takes the number of cores, at most four.</param>
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
        await ReadInOrderAsync<byte[]?>(
            device,
            ConvertOperation.JobCount(jobs),
            MaxZeroTree,
            static block => TreeHash.Leaf(block),
            (window, _, leaf) =>
            {
                if (leaf is not null)
                {
                    tree.Append(leaf);
                }
                else
                {
                    tree.AppendZeros(window.Length);
                }
            },
            progress,
            cancellationToken).ConfigureAwait(false);
        return tree.Root(device.Length);
    }

    /// <summary>Reads windows side by side, prepares them there, and takes them in order. Windows of zeros are not prepared.</summary>
    private static async Task ReadInOrderAsync<TPrepared>(
        IBlockDevice device,
        int jobs,
        long maxZeroLength,
        Func<ReadOnlySpan<byte>, TPrepared> prepare,
        Action<DiskWindow, WorkerBuffer, TPrepared?> take,
        IProgress<OperationProgress>? progress,
        CancellationToken cancellationToken)
    {
        var length = device.Length;
        var windows = new DiskWindows(device, length, ConvertOperation.WindowSize);
        var meter = new ProgressMeter(progress, "hash", length);
        var buffers = new WorkerBuffer[jobs];
        try
        {
            for (var i = 0; i < jobs; i++)
            {
                buffers[i] = new WorkerBuffer(ConvertOperation.WindowSize);
            }

            using var workers = new ItemWorkers<DiskWindow>(jobs, ordered: true);
            await workers.RunAsync(
                token => windows.NextAsync(maxZeroLength, token),
                async (window, worker, turn, token) =>
                {
                    var buffer = buffers[worker];
                    var prepared = default(TPrepared);
                    if (!window.IsZero)
                    {
                        buffer.Span(0, (int)window.Length).Clear();
                        foreach (var range in window.Data)
                        {
                            var place = buffer.Slice((int)(range.Offset - window.Offset), (int)range.Length);
                            await DeviceRequest.ReadAsync(device, range.Offset, place, token).ConfigureAwait(false);
                        }

                        prepared = prepare(buffer.Span(0, (int)window.Length));
                    }

                    await turn.WaitAsync(token).ConfigureAwait(false);
                    take(window, buffer, prepared);
                    meter.Add(window.Length);
                },
                cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            foreach (var buffer in buffers)
            {
                buffer?.Dispose();
            }
        }
    }
}
