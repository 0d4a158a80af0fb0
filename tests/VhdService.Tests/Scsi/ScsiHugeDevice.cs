using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdService.Tests.Scsi;

/// <summary>A disk of any length that holds nothing, accepts everything, and remembers where.</summary>
internal sealed class ScsiHugeDevice(long length) : IBlockDevice
{
    public List<(long Offset, long Length)> Requests { get; } = [];

    public BlockDeviceInfo Info { get; } = new() { Name = "huge" };

    public long Length => length;

    public event Action<long>? Resized
    {
        add { }
        remove { }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) => Note(offset, into.Length);

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        Note(offset, from.Length);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.Ok);

    public ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default) => Note(offset, length);

    public ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        Note(offset, length);

    public ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private ValueTask<BlockStatus> Note(long offset, long count)
    {
        Assert.True(offset >= 0 && count >= 0 && offset <= length && count <= length - offset, $"{count} bytes at {offset} lie outside the disk.");
        Requests.Add((offset, count));
        return ValueTask.FromResult(BlockStatus.Ok);
    }
}
