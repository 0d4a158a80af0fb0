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
        long diskOffset, BlockBuffers into, long start, long length, int firstDepth, CancellationToken cancellationToken) =>
        ReadAsync(new Request(diskOffset, into, start, start + length, firstDepth, cancellationToken), gate: null, ticket: default);

    /// <summary>Fills all of <paramref name="into"/> from the disk, and gives the ticket back.</summary>
    public ValueTask<BlockStatus> ReadAsync(long diskOffset, BlockBuffers into, InFlightGate gate, InFlightGate.Ticket ticket, CancellationToken cancellationToken) =>
        ReadAsync(new Request(diskOffset, into, 0, into.Length, firstDepth: 0, cancellationToken), gate, ticket);

    /// <summary>The first run of the disk; see <see cref="IBlockDevice.MapAsync"/>.</summary>
    public async ValueTask<BlockRun> MapAsync(long diskOffset, long length, CancellationToken cancellationToken)
    {
        while (true)
        {
            var extent = state.Resolve(diskOffset, length, out var depth);
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
    /// <returns>True with the read's outcome, complete; false with what to await before going on.</returns>
    public bool TryFinish(ref Request request, out ValueTask<BlockStatus> outcome)
    {
        while (request.Start < request.End)
        {
            var extent = state.Resolve(request.DiskOffset, request.End - request.Start, out var depth, request.FirstDepth);
            switch (extent.Kind)
            {
                case ExtentKind.Data:
                    outcome = state.Layers[depth].Storage.ReadAsync(extent.StorageOffset, request.Into, request.Start, extent.Length, request.CancellationToken);
                    request.Advance(extent.Length);
                    break;

                case ExtentKind.Zero:
                    request.Into.Clear(request.Start, extent.Length);
                    request.Advance(extent.Length);
                    continue;

                case ExtentKind.NotLoaded:
                    outcome = state.Layers[depth].LoadAsync(request.DiskOffset, request.CancellationToken);
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

    private ValueTask<BlockStatus> ReadAsync(Request request, InFlightGate? gate, InFlightGate.Ticket ticket)
    {
        if (!TryFinish(ref request, out var outcome))
        {
            return PendingRead.Start(this, in request, outcome, gate, ticket);
        }

        gate?.Exit(ticket);
        return outcome;
    }

    /// <summary>Bytes of a storage, from its start.</summary>
    private sealed record KnownData(long Start, long End);

    /// <summary>What is read, and how far it got.</summary>
    internal struct Request(long diskOffset, BlockBuffers into, long start, long end, int firstDepth, CancellationToken cancellationToken)
    {
        /// <summary>Bytes from the disk's start to the next one wanted.</summary>
        public long DiskOffset { get; private set; } = diskOffset;

        /// <summary>Where in <see cref="Into"/> it goes.</summary>
        public long Start { get; private set; } = start;

        public readonly long End => end;

        public readonly BlockBuffers Into => into;

        /// <summary>The first image that is asked.</summary>
        public readonly int FirstDepth => firstDepth;

        public readonly CancellationToken CancellationToken => cancellationToken;

        public void Advance(long length)
        {
            DiskOffset += length;
            Start += length;
        }
    }
}
