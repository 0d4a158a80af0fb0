using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using VhdCore.Errors;
using VhdCore.Layers;

namespace VhdCore.Devices;

/// <summary>
/// A read of a chain that has to wait, and the task of it. Pooled by hand: the runtime's pooling builder keeps one box for each thread, and allocates when many
/// reads end in one batch, as a ring's do.
/// </summary>
internal sealed class PendingRead : IValueTaskSource<BlockStatus>
{
    private const int PoolLimit = 1024;

    private static readonly Lock PoolLock = new();
    private static PendingRead? _pool;
    private static int _pooled;

    private readonly Action _continue;
    private ManualResetValueTaskSourceCore<BlockStatus> _core; // not readonly: a mutable struct
    private ConfiguredValueTaskAwaitable<BlockStatus>.ConfiguredValueTaskAwaiter _awaiter;
    private ChainReader _reader = null!;
    private ChainReader.Request _request;
    private InFlightGate? _gate;
    private InFlightGate.Ticket _ticket;
    private PendingRead? _next;

    private PendingRead() => _continue = Continue;

    /// <summary>Goes on with a read once <paramref name="pending"/> has completed.</summary>
    /// <param name="reader">Who reads.</param>
    /// <param name="request">How far it got.</param>
    /// <param name="pending">What it waits for.</param>
    /// <param name="gate">Where the ticket goes at the end; null where there is none.</param>
    /// <param name="ticket">The read's.</param>
    public static ValueTask<BlockStatus> Start(
        ChainReader reader, in ChainReader.Request request, ValueTask<BlockStatus> pending, InFlightGate? gate, InFlightGate.Ticket ticket)
    {
        var read = Rent();
        read._reader = reader;
        read._request = request;
        read._gate = gate;
        read._ticket = ticket;
        var task = new ValueTask<BlockStatus>(read, read._core.Version);
        read.Await(pending);
        return task;
    }

    public BlockStatus GetResult(short token)
    {
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            if (token == _core.Version)
            {
                Return();
            }
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private static PendingRead Rent()
    {
        lock (PoolLock)
        {
            if (_pool is { } read)
            {
                _pool = read._next;
                _pooled--;
                return read;
            }
        }

        return new PendingRead();
    }

    private void Return()
    {
        _core.Reset();
        _reader = null!;
        _request = default;
        _gate = null;
        lock (PoolLock)
        {
            if (_pooled < PoolLimit)
            {
                _next = _pool;
                _pool = this;
                _pooled++;
            }
        }
    }

    private void Await(ValueTask<BlockStatus> pending)
    {
        _awaiter = pending.ConfigureAwait(false).GetAwaiter();
        if (_awaiter.IsCompleted)
        {
            Continue();
        }
        else
        {
            _awaiter.UnsafeOnCompleted(_continue);
        }
    }

    private void Continue()
    {
        BlockStatus status;
        try
        {
            status = _awaiter.GetResult();
            _awaiter = default;
            if (status == BlockStatus.Ok)
            {
                if (!_reader.TryFinish(ref _request, out var pending))
                {
                    Await(pending);
                    return;
                }

                status = pending.Result;
            }
        }
        catch (OperationCanceledException)
        {
            status = BlockStatus.Cancelled;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            _gate?.Exit(_ticket);
            _core.SetException(e);
            return;
        }

        _gate?.Exit(_ticket);
        _core.SetResult(ChainReader.StorageFailure(status));
    }
}
