using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Layers;

/// <summary>A disk whose bytes lie in its storage at their own offsets: raw images and fixed VHDs. What lies behind the storage's end reads as zeros.</summary>
/// <param name="storage">Owned from here on.</param>
/// <param name="length">Bytes of virtual disk.</param>
internal sealed class FlatLayer(IStorage storage, long length) : IWritableLayer
{
    public IStorage Storage => storage;

    public long Length => length;

    public int LogicalSectorSize => 512;

    public long BlockSize => 4096;

    public bool HasParent => false;

    public long SectorLockUnit => 0;

    public bool IsDirty => false;

    public bool HasFreedSpace => false;

    public DiskExtent Resolve(long diskOffset, long length)
    {
        var stored = storage.Length - diskOffset;
        return stored > 0
            ? new DiskExtent(ExtentKind.Data, Math.Min(length, stored), diskOffset, IsAllocated: true)
            : new DiskExtent(ExtentKind.Zero, length, 0, IsAllocated: true);
    }

    public ValueTask<BlockStatus> LoadAsync(long diskOffset, CancellationToken cancellationToken) => ValueTask.FromResult(BlockStatus.Ok);

    public WriteExtent ResolveForWrite(long diskOffset, long length) => new(WriteExtentKind.Ready, length, diskOffset, IsPresent: true, Token: null);

    public bool IsCommitted(long diskOffset, long length) => diskOffset + length <= storage.Length;

    public bool Complete(long diskOffset, long length, in WriteExtent written) => true;

    public ValueTask<BlockStatus> ReserveAsync(int blockCount, CancellationToken cancellationToken) => ValueTask.FromResult(BlockStatus.Ok);

    public ReleaseExtent Release(long diskOffset, long length, bool isTrim)
    {
        var stored = storage.Length - diskOffset;
        return stored > 0
            ? new ReleaseExtent(ReleaseKind.Punch, Math.Min(length, stored), diskOffset)
            : new ReleaseExtent(ReleaseKind.Released, length, 0);
    }

    public ValueTask<BlockStatus> CommitAsync(CancellationToken cancellationToken) => storage.FlushAsync(cancellationToken);

    public ValueTask GiveBackAsync() => ValueTask.CompletedTask;

    public ValueTask<BlockStatus> CloseAsync(CancellationToken cancellationToken) => storage.FlushAsync(cancellationToken);

    public ValueTask DisposeAsync() => storage.DisposeAsync();
}
