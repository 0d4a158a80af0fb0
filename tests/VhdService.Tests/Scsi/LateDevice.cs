using System.Threading.Tasks.Sources;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdService.Tests.Scsi;

/// <summary>A disk that does nothing and allocates nothing, and answers when a test says so.</summary>
internal sealed class LateDevice : IBlockDevice, IValueTaskSource<BlockStatus>
{
    private ManualResetValueTaskSourceCore<BlockStatus> _completion;
    private bool _isPending;

    public bool IsLate { get; set; }

    public BlockDeviceInfo Info { get; } = new() { Name = "late" };

    public long Length => 1 << 20;

    public event Action<long>? Resized
    {
        add { }
        remove { }
    }

    public void Complete(BlockStatus status)
    {
        if (_isPending)
        {
            _isPending = false;
            _completion.SetResult(status);
        }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) => Answer();

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) => Answer();

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => Answer();

    public ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default) => Answer();

    public ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) => Answer();

    public ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public BlockStatus GetResult(short token) => _completion.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _completion.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);

    private ValueTask<BlockStatus> Answer()
    {
        if (!IsLate)
        {
            return ValueTask.FromResult(BlockStatus.Ok);
        }

        _completion.Reset();
        _isPending = true;
        return new ValueTask<BlockStatus>(this, _completion.Version);
    }
}
