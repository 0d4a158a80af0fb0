using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Tests.Conformance;

/// <summary>The front of a device as a device of its own. Owns what it shortens.</summary>
internal sealed class ShortenedDevice(IBlockDevice inner, long length) : IBlockDevice
{
    public event Action<long>? Resized
    {
        add { }
        remove { }
    }

    public BlockDeviceInfo Info => inner.Info;

    public long Length => length;

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) =>
        IsInside(offset, into.Length) ? inner.ReadAsync(offset, into, cancellationToken) : new(BlockStatus.OutOfRange);

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        IsInside(offset, from.Length) ? inner.WriteAsync(offset, from, flags, cancellationToken) : new(BlockStatus.OutOfRange);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

    public ValueTask<BlockStatus> TrimAsync(long offset, long count, CancellationToken cancellationToken = default) =>
        IsInside(offset, count) ? inner.TrimAsync(offset, count, cancellationToken) : new(BlockStatus.OutOfRange);

    public ValueTask<BlockStatus> ZeroAsync(long offset, long count, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        IsInside(offset, count) ? inner.ZeroAsync(offset, count, flags, cancellationToken) : new(BlockStatus.OutOfRange);

    public ValueTask<BlockRun> MapAsync(long offset, long count, CancellationToken cancellationToken = default) =>
        IsInside(offset, count) ? inner.MapAsync(offset, count, cancellationToken) : new(new BlockRun(BlockStatus.OutOfRange, offset, 0, 0, IsPresent: false, IsZero: false, -1));

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private bool IsInside(long offset, long count) => offset >= 0 && count >= 0 && offset <= length && count <= length - offset;
}
