using System.Runtime.CompilerServices;
using VhdCore.Chains;
using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Devices;

/// <summary>
/// Writes a chain's leaf: resolve or allocate, move the bytes, complete. Callers hold a ticket and have checked the range.
/// </summary>
/// <remarks>
/// Whole sectors, and parts of sectors that the leaf holds, are written as they come. A part of a sector that the leaf lacks is read from the chain, merged and
/// written whole, alone in its block (<see cref="StripedAsyncLock"/>).
/// </remarks>
internal sealed class ChainWriter : IDisposable
{
    private const int ReserveBlocks = 1; // asked for at once; the layer rounds up as it likes

    private readonly IWritableLayer _leaf;
    private readonly ChainReader _reader;
    private readonly StripedAsyncLock _sectorLock = new();
    private readonly CommitCoordinator _commits;
    private readonly ChainReleaser _releaser;
    private readonly long _sectorSize;

    /// <param name="state">The chain.</param>
    /// <param name="leaf">Its leaf.</param>
    /// <param name="reader">Of the same chain.</param>
    /// <param name="timeProvider">The clock of the timed commit.</param>
    public ChainWriter(ChainState state, IWritableLayer leaf, ChainReader reader, TimeProvider timeProvider)
    {
        _leaf = leaf;
        _reader = reader;
        _commits = new CommitCoordinator(leaf, timeProvider);
        _releaser = new ChainReleaser(state, leaf, _sectorLock, _commits, this);
        _sectorSize = leaf.LogicalSectorSize;
    }

    /// <inheritdoc cref="CommitCoordinator.IsTimed"/>
    public bool CommitsByTime
    {
        set => _commits.IsTimed = value;
    }

    /// <summary>See <see cref="IBlockDevice.WriteAsync"/>.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<BlockStatus> WriteAsync(long diskOffset, BlockBuffers from, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (_commits.IsFaulted)
        {
            return BlockStatus.ReadOnly;
        }

        var isFua = (flags & WriteFlags.Fua) != 0;
        var needsCommit = false;
        for (long start = 0; start < from.Length;)
        {
            var written = await WriteRunAsync(diskOffset + start, from, start, from.Length - start, isFua, cancellationToken).ConfigureAwait(false);
            if (written.Status != BlockStatus.Ok)
            {
                return written.Status;
            }

            needsCommit |= !written.IsDurable;
            start += written.Length;
        }

        return isFua && needsCommit ? await _commits.FlushAsync(cancellationToken).ConfigureAwait(false) : BlockStatus.Ok;
    }

    /// <summary>As <see cref="WriteAsync"/>, of bytes that lie in another storage and are not read: as many from the front as one block takes.</summary>
    /// <returns>Unsupported where they must be written after all; a block may have been allocated for them.</returns>
    public async ValueTask<(BlockStatus Status, long Length)> CloneAsync(
        long diskOffset, IStorage source, long sourceOffset, long length, CancellationToken cancellationToken)
    {
        if (_commits.IsFaulted)
        {
            return (BlockStatus.ReadOnly, 0);
        }

        if (_leaf.SectorLockUnit == 0)
        {
            return await CloneRunAsync(diskOffset, source, sourceOffset, length, cancellationToken).ConfigureAwait(false);
        }

        var key = LockKey(diskOffset);
        length = Math.Min(length, ((key + 1) * _leaf.SectorLockUnit) - diskOffset);
        await _sectorLock.EnterSharedAsync(key).ConfigureAwait(false);
        try
        {
            return await CloneRunAsync(diskOffset, source, sourceOffset, length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _sectorLock.ExitShared(key);
        }
    }

    /// <summary>See <see cref="IBlockDevice.FlushAsync"/>.</summary>
    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken) => _commits.FlushAsync(cancellationToken);

    /// <summary>Commits and leaves the image as after a clean shutdown. Nothing is in flight.</summary>
    public ValueTask<BlockStatus> CloseAsync() => _commits.CloseAsync();

    public void Dispose() => _commits.Dispose();

    /// <summary>See <see cref="IBlockDevice.TrimAsync"/>.</summary>
    public ValueTask<BlockStatus> TrimAsync(long diskOffset, long length, CancellationToken cancellationToken) =>
        _releaser.TrimAsync(diskOffset, length, cancellationToken);

    /// <summary>See <see cref="IBlockDevice.ZeroAsync"/>.</summary>
    public ValueTask<BlockStatus> ZeroAsync(long diskOffset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        _releaser.ZeroAsync(diskOffset, length, flags, cancellationToken);

    private long LockKey(long diskOffset) => diskOffset / _leaf.SectorLockUnit;

    private async ValueTask<(BlockStatus Status, long Length)> CloneRunAsync(
        long diskOffset, IStorage source, long sourceOffset, long length, CancellationToken cancellationToken)
    {
        var (status, extent) = await ResolveForWriteAsync(diskOffset, length, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            return (status, 0);
        }

        status = StorageClone.Clone(source, sourceOffset, _leaf.Storage, extent.StorageOffset, extent.Length);
        if (status != BlockStatus.Ok)
        {
            return (ChainReader.StorageFailure(status), 0);
        }

        status = await CompleteAsync(diskOffset, extent.Length, extent).ConfigureAwait(false);
        _commits.PayloadWritten();
        return (status, extent.Length);
    }

    private async ValueTask<Written> WriteRunAsync(
        long diskOffset, BlockBuffers from, long start, long length, bool isFua, CancellationToken cancellationToken)
    {
        if (_leaf.SectorLockUnit == 0)
        {
            return await WriteWholeSectorsAsync(diskOffset, from, start, length, isFua, cancellationToken).ConfigureAwait(false);
        }

        var key = LockKey(diskOffset);
        length = Math.Min(length, ((key + 1) * _leaf.SectorLockUnit) - diskOffset);
        Written written;
        await _sectorLock.EnterSharedAsync(key).ConfigureAwait(false);
        try
        {
            written = await WriteWholeSectorsAsync(diskOffset, from, start, length, isFua, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _sectorLock.ExitShared(key);
        }

        if (written.Status != BlockStatus.Ok || written.Length > 0)
        {
            return written;
        }

        await _sectorLock.EnterExclusiveAsync(key).ConfigureAwait(false);
        try
        {
            var part = Math.Min(length, _sectorSize - (diskOffset % _sectorSize));
            return await WritePartOfSectorAsync(diskOffset, from, start, part, isFua, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _sectorLock.ExitExclusive(key);
        }
    }

    /// <summary>Writes what can be written as it is: any bytes of sectors that are present, whole sectors otherwise.</summary>
    /// <returns>A length of 0 when the range begins with part of a missing sector.</returns>
    private async ValueTask<Written> WriteWholeSectorsAsync(
        long diskOffset, BlockBuffers from, long start, long length, bool isFua, CancellationToken cancellationToken)
    {
        var (status, extent) = await ResolveForWriteAsync(diskOffset, length, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            return new Written(status, 0, IsDurable: false);
        }

        var run = extent.Length;
        if (!extent.IsPresent)
        {
            run = diskOffset % _sectorSize == 0 ? run - (run % _sectorSize) : 0;
            if (run == 0)
            {
                return new Written(BlockStatus.Ok, 0, IsDurable: true);
            }
        }

        return await MoveAsync(diskOffset, extent, from, start, run, isFua, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<Written> WritePartOfSectorAsync(
        long diskOffset, BlockBuffers from, long start, long length, bool isFua, CancellationToken cancellationToken)
    {
        var (status, extent) = await ResolveForWriteAsync(diskOffset, length, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            return new Written(status, 0, IsDurable: false);
        }

        if (extent.IsPresent)
        {
            return await MoveAsync(diskOffset, extent, from, start, length, isFua, cancellationToken).ConfigureAwait(false);
        }

        using var sector = PooledBuffer.Rent((int)_sectorSize);
        var inSector = diskOffset % _sectorSize;
        status = await _reader.ReadAsync(diskOffset - inSector, sector.Take(_sectorSize), 0, _sectorSize, firstDepth: 0, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            return new Written(status, 0, IsDurable: false);
        }

        from.CopyTo(start, sector.Span.Slice((int)inSector, (int)length));
        var whole = extent with { StorageOffset = extent.StorageOffset - inSector, Length = _sectorSize };
        var written = await MoveAsync(diskOffset - inSector, whole, sector.Take(_sectorSize), 0, _sectorSize, isFua, cancellationToken).ConfigureAwait(false);
        return written with { Length = length };
    }

    private async ValueTask<Written> MoveAsync(
        long diskOffset, WriteExtent extent, BlockBuffers from, long start, long length, bool isFua, CancellationToken cancellationToken)
    {
        var isCommitted = isFua && (_leaf.IsCommitted(diskOffset, length) || Sabotage.Is(SabotagePoint.CommitForFua));
        var status = await _leaf.Storage.WriteAsync(
            extent.StorageOffset, from, start, length, isCommitted ? WriteFlags.Fua : WriteFlags.None, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            return new Written(ChainReader.StorageFailure(status), 0, IsDurable: false);
        }

        status = await CompleteAsync(diskOffset, length, extent).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            return new Written(status, 0, IsDurable: false);
        }

        if (!isCommitted)
        {
            _commits.PayloadWritten();
        }

        return new Written(BlockStatus.Ok, length, isCommitted);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<BlockStatus> CompleteAsync(long diskOffset, long length, WriteExtent extent)
    {
        while (!_leaf.Complete(diskOffset, length, extent))
        {
            var status = await _leaf.LoadAsync(diskOffset, CancellationToken.None).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return ChainReader.StorageFailure(status);
            }
        }

        return BlockStatus.Ok;
    }

    private async ValueTask<(BlockStatus Status, WriteExtent Extent)> ResolveForWriteAsync(long diskOffset, long length, CancellationToken cancellationToken)
    {
        while (true)
        {
            var extent = _leaf.ResolveForWrite(diskOffset, length);
            var status = extent.Kind switch
            {
                WriteExtentKind.Ready => BlockStatus.Ok,
                WriteExtentKind.NotLoaded => await _leaf.LoadAsync(diskOffset, cancellationToken).ConfigureAwait(false),
                WriteExtentKind.NeedsSpace => await _leaf.ReserveAsync(ReserveBlocks, cancellationToken).ConfigureAwait(false),
                WriteExtentKind.NeedsCommit => await _commits.FlushAsync(cancellationToken).ConfigureAwait(false),
                _ => BlockStatus.Corrupt,
            };

            if (status != BlockStatus.Ok || extent.Kind == WriteExtentKind.Ready)
            {
                return (status, extent);
            }
        }
    }

    private readonly record struct Written(BlockStatus Status, long Length, bool IsDurable);
}
