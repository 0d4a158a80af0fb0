using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Layers;

/// <summary>
/// One image: what every format answers. The format resolves, the engine moves: a layer says where bytes lie and never copies payload.
/// </summary>
/// <remarks>Resolving takes no lock and does no I/O. Callers hold a ticket of the device's <see cref="InFlightGate"/> from resolving to their last byte.</remarks>
internal interface IImageLayer : IAsyncDisposable
{
    /// <summary>Where this layer's data extents lie. Owned by the layer.</summary>
    IStorage Storage { get; }

    /// <summary>Bytes of the virtual disk; any number, a multiple of the logical sector.</summary>
    long Length { get; }

    /// <summary>Bytes in a logical sector.</summary>
    int LogicalSectorSize { get; }

    /// <summary>Bytes in an allocation block; for a layer without blocks, its preferred trim size.</summary>
    long BlockSize { get; }

    /// <summary>The layer has, or should have, a parent.</summary>
    bool HasParent { get; }

    /// <summary>The first run at <paramref name="diskOffset"/>, at most <paramref name="length"/> long. The range lies inside <see cref="Length"/>.</summary>
    DiskExtent Resolve(long diskOffset, long length);

    /// <summary>Reads the table page that <see cref="Resolve"/> or a write at <paramref name="diskOffset"/> was missing.</summary>
    ValueTask<BlockStatus> LoadAsync(long diskOffset, CancellationToken cancellationToken);
}

/// <summary>A layer that is open for writing. Only the leaf of a chain is.</summary>
internal interface IWritableLayer : IImageLayer
{
    /// <summary>
    /// Bytes of disk within which a write of part of a missing sector must be alone; 0 where sectors are never missing, so that any bytes may be written at once.
    /// </summary>
    long SectorLockUnit { get; }

    /// <summary>Tables hold changes that a commit would write.</summary>
    bool IsDirty { get; }

    /// <summary>The first run that a write may take, allocating a block in memory if there is none. The range lies inside <see cref="IImageLayer.Length"/>.</summary>
    WriteExtent ResolveForWrite(long diskOffset, long length);

    /// <summary>The tables that make the range reachable are durable: a write to it with FUA needs no commit.</summary>
    bool IsCommitted(long diskOffset, long length);

    /// <summary>The bytes of <paramref name="written"/> have landed: marks their sectors present.</summary>
    /// <returns>False if a table page that this needs was dropped from memory meanwhile: await <see cref="IImageLayer.LoadAsync"/>, and call again.</returns>
    bool Complete(long diskOffset, long length, in WriteExtent written);

    /// <summary>Makes space that <see cref="ResolveForWrite"/> can take for <paramref name="blockCount"/> more blocks, or as many as there is space for.</summary>
    /// <returns>Ok when at least one block can be allocated now.</returns>
    ValueTask<BlockStatus> ReserveAsync(int blockCount, CancellationToken cancellationToken);

    /// <summary>Releases the first run of a trim or zero if the tables can express it; see <see cref="ReleaseKind"/>.</summary>
    /// <param name="diskOffset">Where it begins.</param>
    /// <param name="length">Bytes of disk.</param>
    /// <param name="isTrim">The content no longer matters; otherwise it is zeros from now on.</param>
    ReleaseExtent Release(long diskOffset, long length, bool isTrim);

    /// <summary>
    /// One round: makes durable all payload acknowledged before the call and the tables that reach it, in the order that the format's write protocol
    /// proves. One call at a time. A failure leaves the layer to be closed without writing.
    /// </summary>
    ValueTask<BlockStatus> CommitAsync(CancellationToken cancellationToken);

    /// <summary>Space has been freed that <see cref="GiveBackAsync"/> may be able to give back.</summary>
    bool HasFreedSpace { get; }

    /// <summary>Gives durably freed space that nobody can be using any more back to the medium. Not while a commit is under way. A failure costs nothing but that.</summary>
    ValueTask GiveBackAsync();

    /// <summary>Commits, and leaves the image as after a clean shutdown. Nothing may be in flight.</summary>
    ValueTask<BlockStatus> CloseAsync(CancellationToken cancellationToken);
}
