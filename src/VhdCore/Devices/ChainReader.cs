using System.Runtime.CompilerServices;
using VhdCore.Chains;
using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;

namespace VhdCore.Devices;

/// <summary>Reads and maps a chain: resolve, move the bytes, go on. Callers hold a ticket and have checked the range.</summary>
internal sealed class ChainReader(ChainState state)
{
    // The last run of data that each storage told of. Asking anew for every block would walk through the rest of the run every time.
    private readonly KnownData?[] _knownData = new KnownData?[state.Layers.Length];

    /// <summary>
    /// Fills a part of <paramref name="into"/> from the disk, asking only the images from <paramref name="firstDepth"/> on. Completes at once while the
    /// storages do.
    /// </summary>
    public ValueTask<BlockStatus> ReadAsync(
        long diskOffset, BlockBuffers into, long start, long length, int firstDepth, CancellationToken cancellationToken)
    {
        var cursor = new Cursor(diskOffset, start, start + length);
        return TryFinish(ref cursor, into, firstDepth, cancellationToken, out var outcome) ? outcome : FinishAsync(cursor, outcome, into, firstDepth, cancellationToken);
    }

    /// <summary>The first run of the disk; see <see cref="IBlockDevice.MapAsync"/>.</summary>
    public async ValueTask<BlockRun> MapAsync(long diskOffset, long length, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (extent, depth) = state.Resolve(diskOffset, length);
            var layer = state.Layers[depth];
            switch (extent.Kind)
            {
                case ExtentKind.Data:
                    return MapData(layer, extent, diskOffset, depth);

                case ExtentKind.Zero:
                    return new BlockRun(BlockStatus.Ok, diskOffset, extent.Length, depth, extent.IsAllocated, IsZero: true, -1);

                case ExtentKind.NotLoaded:
                    var status = await layer.LoadAsync(diskOffset, cancellationToken).ConfigureAwait(false);
                    if (status != BlockStatus.Ok)
                    {
                        return new BlockRun(status, diskOffset, 0, depth, IsPresent: false, IsZero: false, -1);
                    }

                    break;

                default:
                    return new BlockRun(BlockStatus.Corrupt, diskOffset, 0, depth, IsPresent: false, IsZero: false, -1);
            }
        }
    }

    /// <summary>What a storage's answer means for a disk: its range is the tables' doing, not the guest's.</summary>
    public static BlockStatus StorageFailure(BlockStatus status) => status == BlockStatus.OutOfRange ? BlockStatus.IoError : status;

    private BlockRun MapData(IImageLayer layer, DiskExtent extent, long diskOffset, int depth)
    {
        // A hole under data reads as zeros; whoever copies need not read it.
        var inside = layer.Storage.Length - extent.StorageOffset;
        if (inside <= 0)
        {
            return new BlockRun(BlockStatus.IoError, diskOffset, 0, depth, IsPresent: true, IsZero: false, -1);
        }

        var length = Math.Min(extent.Length, inside);
        if (layer.Storage.Traits.CanWrite)
        {
            var now = layer.Storage.Map(extent.StorageOffset, length);
            return new BlockRun(BlockStatus.Ok, diskOffset, now.Length, depth, IsPresent: true, now.IsHole, extent.StorageOffset);
        }

        var known = Volatile.Read(ref _knownData[depth]);
        if (known is null || extent.StorageOffset < known.Start || extent.StorageOffset >= known.End)
        {
            var run = layer.Storage.Map(extent.StorageOffset, inside);
            if (run.IsHole)
            {
                return new BlockRun(BlockStatus.Ok, diskOffset, Math.Min(length, run.Length), depth, IsPresent: true, IsZero: true, extent.StorageOffset);
            }

            known = new KnownData(extent.StorageOffset, extent.StorageOffset + run.Length);
            Volatile.Write(ref _knownData[depth], known);
        }

        return new BlockRun(BlockStatus.Ok, diskOffset, Math.Min(length, known.End - extent.StorageOffset), depth, IsPresent: true, IsZero: false, extent.StorageOffset);
    }

    /// <summary>Reads on until the end, a failure, or something to wait for.</summary>
    /// <returns>True with the read's outcome; false with what to await before going on.</returns>
    private bool TryFinish(ref Cursor cursor, BlockBuffers into, int firstDepth, CancellationToken cancellationToken, out ValueTask<BlockStatus> outcome)
    {
        while (cursor.Start < cursor.End)
        {
            var (extent, depth) = state.Resolve(cursor.DiskOffset, cursor.End - cursor.Start, firstDepth);
            outcome = ValueTask.FromResult(BlockStatus.Ok);
            switch (extent.Kind)
            {
                case ExtentKind.Data:
                    var storage = state.Layers[depth].Storage;
                    var moved = storage.TryRead(extent.StorageOffset, into, cursor.Start, extent.Length);
                    if (moved < extent.Length)
                    {
                        outcome = storage.ReadAsync(extent.StorageOffset + moved, into, cursor.Start + moved, extent.Length - moved, cancellationToken);
                    }

                    cursor.Advance(extent.Length);
                    break;

                case ExtentKind.Zero:
                    into.Clear(cursor.Start, extent.Length);
                    cursor.Advance(extent.Length);
                    break;

                case ExtentKind.NotLoaded:
                    outcome = state.Layers[depth].LoadAsync(cursor.DiskOffset, cancellationToken);
                    break;

                default:
                    outcome = ValueTask.FromResult(BlockStatus.Corrupt);
                    return true;
            }

            if (!outcome.IsCompletedSuccessfully)
            {
                return false;
            }

            var status = outcome.Result;
            if (status != BlockStatus.Ok)
            {
                outcome = ValueTask.FromResult(StorageFailure(status));
                return true;
            }
        }

        outcome = ValueTask.FromResult(BlockStatus.Ok);
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<BlockStatus> FinishAsync(
        Cursor cursor, ValueTask<BlockStatus> pending, BlockBuffers into, int firstDepth, CancellationToken cancellationToken)
    {
        while (true)
        {
            var status = await pending.ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return StorageFailure(status);
            }

            if (TryFinish(ref cursor, into, firstDepth, cancellationToken, out pending))
            {
                return await pending.ConfigureAwait(false);
            }
        }
    }

    /// <summary>Bytes of a storage, from its start.</summary>
    private sealed record KnownData(long Start, long End);

    private struct Cursor(long diskOffset, long start, long end)
    {
        public long DiskOffset { get; private set; } = diskOffset;

        public long Start { get; private set; } = start;

        public long End { get; } = end;

        public void Advance(long length)
        {
            DiskOffset += length;
            Start += length;
        }
    }
}
