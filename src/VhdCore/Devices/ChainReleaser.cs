using VhdCore.Chains;
using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;

namespace VhdCore.Devices;

/// <summary>
/// Trims and zeroes a chain's leaf: its tables say so where they can, and zeros are written where not. Callers hold a ticket and have checked the range.
/// </summary>
/// <param name="state">The chain.</param>
/// <param name="leaf">Its leaf.</param>
/// <param name="sectorLock">Shared with the writer: a release is to a block what a write of whole sectors is.</param>
/// <param name="commits">Shared with the writer.</param>
/// <param name="writer">Who writes zeros.</param>
internal sealed class ChainReleaser(ChainState state, IWritableLayer leaf, StripedAsyncLock sectorLock, CommitCoordinator commits, ChainWriter writer)
{
    /// <summary>See <see cref="IBlockDevice.TrimAsync"/>.</summary>
    public async ValueTask<BlockStatus> TrimAsync(long diskOffset, long length, CancellationToken cancellationToken)
    {
        if (commits.IsFaulted)
        {
            return BlockStatus.ReadOnly;
        }

        while (length > 0)
        {
            var (status, run) = await ReleaseRunAsync(diskOffset, length, isTrim: true, cancellationToken).ConfigureAwait(false);
            if (status is not (BlockStatus.Ok or BlockStatus.Unsupported))
            {
                return status;
            }

            diskOffset += run;
            length -= run;
        }

        return BlockStatus.Ok;
    }

    /// <summary>See <see cref="IBlockDevice.ZeroAsync"/>.</summary>
    public async ValueTask<BlockStatus> ZeroAsync(long diskOffset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (commits.IsFaulted)
        {
            return BlockStatus.ReadOnly;
        }

        while (length > 0)
        {
            var (status, run) = await ReleaseRunAsync(diskOffset, length, isTrim: false, cancellationToken).ConfigureAwait(false);
            if (status == BlockStatus.Unsupported)
            {
                status = await WriteZerosAsync(diskOffset, run, cancellationToken).ConfigureAwait(false);
            }

            if (status != BlockStatus.Ok)
            {
                return status;
            }

            diskOffset += run;
            length -= run;
        }

        return (flags & WriteFlags.Fua) != 0 ? await commits.FlushAsync(cancellationToken).ConfigureAwait(false) : BlockStatus.Ok;
    }

    /// <summary>Releases one run.</summary>
    /// <returns>Unsupported when zeros would have to be written for it.</returns>
    private async ValueTask<(BlockStatus Status, long Length)> ReleaseRunAsync(long diskOffset, long length, bool isTrim, CancellationToken cancellationToken)
    {
        if (leaf.SectorLockUnit == 0)
        {
            return await ReleaseRunLockedAsync(diskOffset, length, isTrim, cancellationToken).ConfigureAwait(false);
        }

        var key = diskOffset / leaf.SectorLockUnit;
        await sectorLock.EnterSharedAsync(key).ConfigureAwait(false);
        try
        {
            return await ReleaseRunLockedAsync(diskOffset, length, isTrim, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            sectorLock.ExitShared(key);
        }
    }

    private async ValueTask<(BlockStatus Status, long Length)> ReleaseRunLockedAsync(long diskOffset, long length, bool isTrim, CancellationToken cancellationToken)
    {
        while (true)
        {
            var extent = leaf.Release(diskOffset, length, isTrim);
            BlockStatus status;
            switch (extent.Kind)
            {
                case ReleaseKind.Released:
                    commits.TablesChanged();
                    return (BlockStatus.Ok, extent.Length);

                case ReleaseKind.Punch:
                    status = await leaf.Storage.PunchHoleAsync(extent.StorageOffset, extent.Length, cancellationToken).ConfigureAwait(false);
                    commits.PayloadWritten();
                    return (status, extent.Length);

                case ReleaseKind.Keep:
                    return (BlockStatus.Unsupported, extent.Length);

                case ReleaseKind.NotLoaded:
                    status = await leaf.LoadAsync(diskOffset, cancellationToken).ConfigureAwait(false);
                    break;

                case ReleaseKind.NeedsReserve:
                    status = await leaf.ReserveAsync(0, cancellationToken).ConfigureAwait(false);
                    break;

                default:
                    status = await commits.FlushAsync(cancellationToken).ConfigureAwait(false);
                    break;
            }

            if (status != BlockStatus.Ok)
            {
                return (status == BlockStatus.Unsupported ? BlockStatus.IoError : status, extent.Length);
            }
        }
    }

    private async ValueTask<BlockStatus> WriteZerosAsync(long diskOffset, long length, CancellationToken cancellationToken)
    {
        while (length > 0)
        {
            var extent = state.Resolve(diskOffset, length, out var depth);
            var run = extent.Length;
            var status = BlockStatus.Ok;
            if (extent.Kind == ExtentKind.NotLoaded)
            {
                status = await state.Layers[depth].LoadAsync(diskOffset, cancellationToken).ConfigureAwait(false);
                run = 0;
            }
            else if (extent.Kind != ExtentKind.Zero) // nothing to do where zeros show already, in the leaf or below it
            {
                run = Math.Min(run, ZeroBuffer.Size);
                status = await writer.WriteAsync(diskOffset, ZeroBuffer.Take(run), WriteFlags.None, cancellationToken).ConfigureAwait(false);
            }

            if (status != BlockStatus.Ok)
            {
                return ChainReader.StorageFailure(status);
            }

            diskOffset += run;
            length -= run;
        }

        return BlockStatus.Ok;
    }
}
