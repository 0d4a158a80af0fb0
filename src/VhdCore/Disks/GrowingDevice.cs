using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Disks;

/// <summary>A new file as a disk without an end: it grows as it is written. It is flushed when it is whole.</summary>
internal sealed class GrowingDevice(IStorage storage, string name) : IBlockDevice
{
    public BlockDeviceInfo Info { get; } = new() { Name = name };

    public long Length => long.MaxValue;

    public event Action<long>? Resized
    {
        add { }
        remove { }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) =>
        storage.ReadAsync(offset, into, 0, into.Length, cancellationToken);

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        storage.WriteAsync(offset, from, 0, from.Length, flags, cancellationToken);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => new(BlockStatus.Ok);

    public ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default) => new(BlockStatus.Ok);

    public ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) => new(BlockStatus.Unsupported);

    public ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        new(new BlockRun(BlockStatus.Unsupported, offset, length, 0, false, false, -1));

    public ValueTask DisposeAsync() => ValueTask.CompletedTask; // the storage is its owner's
}
