using System.Threading.Tasks.Sources;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Storage;

/// <summary>What an <see cref="IoRequest"/> asks for.</summary>
internal enum IoKind : byte
{
    Read,
    Write,
    Flush,
    SetLength,
    PunchHole,
    Rename,
}

/// <summary>The open file that requests are for.</summary>
internal interface IIoTarget
{
    /// <summary>The system's number for it; stays open while a request is in flight.</summary>
    int Descriptor { get; }

    /// <summary>Does a request on a thread that may wait.</summary>
    BlockStatus Run(IoRequest request);

    /// <summary>What a request that the kernel ended with <paramref name="errno"/> means.</summary>
    /// <returns>Null when <see cref="Run"/> has to find out.</returns>
    BlockStatus? Judge(IoRequest request, int errno);

    /// <summary>The last step of every request that an engine took, before its caller learns of it. Never waits.</summary>
    BlockStatus Finish(IoRequest request, BlockStatus status);
}

/// <summary>
/// One request on its way through an engine, and the task of it. Pooled: awaiting the task gives it back, so that in the steady state a request
/// allocates nothing.
/// </summary>
internal sealed class IoRequest : IValueTaskSource<BlockStatus>, IThreadPoolWorkItem
{
    private const int PoolLimit = 1024;

    private static readonly Lock PoolLock = new();
    private static IoRequest? _pool;
    private static int _pooled;

    private ManualResetValueTaskSourceCore<BlockStatus> _core; // not readonly: a mutable struct
    private CancellationTokenRegistration _registration;
    private IoEngine? _engine;
    private BlockStatus _status;
    private volatile bool _isCancelRequested;

    private IoRequest()
    {
    }

    /// <summary>The next in the one list that this is in: an engine's queue, or the pool.</summary>
    public IoRequest? Next { get; set; }

    /// <summary>The engine's own number for it while the kernel has it; 0 otherwise.</summary>
    public ulong Ticket { get; set; }

    public IIoTarget Target { get; private set; } = null!;

    public IoKind Kind { get; private set; }

    /// <summary>Bytes from the storage's start.</summary>
    public long Offset { get; private set; }

    public BlockBuffers Buffers { get; private set; }

    /// <summary>Where in <see cref="Buffers"/> the first byte belongs.</summary>
    public long Start { get; private set; }

    /// <summary>Bytes; for <see cref="IoKind.SetLength"/>, the new length.</summary>
    public long Length { get; private set; }

    public WriteFlags Flags { get; private set; }

    /// <summary>For <see cref="IoKind.Rename"/>.</summary>
    public string? Name { get; private set; }

    /// <summary>Bytes moved so far.</summary>
    public long Moved { get; set; }

    /// <summary>Bytes of memory behind <see cref="Length"/> that may be filled too: direct reads are of whole sectors, also where the file ends inside the last.</summary>
    public int Slack { get; set; }

    /// <summary>The kernel could not do it on the spot: a thread of its own has to.</summary>
    public bool MustWait { get; set; }

    /// <summary>Only a thread that may wait can do it: an engine does not give it to the kernel.</summary>
    public bool IsBlocking { get; set; }

    /// <summary>The target's own mark, for <see cref="IIoTarget.Finish"/>.</summary>
    public bool HoldsLock { get; set; }

    /// <summary>The continuation runs on the engine's thread.</summary>
    public bool CompletesInline { get; set; }

    public bool IsCancelRequested => _isCancelRequested;

    /// <summary>Tells this use of the object from those before and after.</summary>
    public short Version => _core.Version;

    /// <summary>Takes one from the pool.</summary>
    public static IoRequest Rent(IIoTarget target, IoKind kind, long offset, long length)
    {
        IoRequest? request;
        lock (PoolLock)
        {
            request = _pool;
            if (request is not null)
            {
                _pool = request.Next;
                _pooled--;
            }
        }

        request ??= new IoRequest();
        request.Next = null;
        request.Target = target;
        request.Kind = kind;
        request.Offset = offset;
        request.Length = length;
        return request;
    }

    /// <summary>The memory of a read or write.</summary>
    public IoRequest Moving(BlockBuffers buffers, long start, WriteFlags flags)
    {
        Buffers = buffers;
        Start = start;
        Flags = flags;
        return this;
    }

    /// <summary>The name of a rename.</summary>
    public IoRequest Naming(string name)
    {
        Name = name;
        return this;
    }

    /// <summary>Gives the request to an engine, or does it here where the engine is full.</summary>
    public ValueTask<BlockStatus> StartAsync(IoEngine engine, CancellationToken cancellationToken)
    {
        _engine = engine;
        if (cancellationToken.CanBeCanceled)
        {
            _registration = cancellationToken.UnsafeRegister(static request => ((IoRequest)request!).RequestCancel(), this);
        }

        if (engine.TrySubmit(this))
        {
            return new ValueTask<BlockStatus>(this, _core.Version);
        }

        // Back-pressure: whoever asks for more than the engine may hold does the work, and so cannot ask for more meanwhile.
        _registration.Dispose();
        var status = Target.Finish(this, _isCancelRequested ? BlockStatus.Cancelled : Target.Run(this));
        Return();
        return new ValueTask<BlockStatus>(status);
    }

    /// <summary>Ends the request. The engine and the kernel have let go of it and of its memory.</summary>
    public void Complete(BlockStatus status)
    {
        _registration.Dispose(); // afterwards, no cancelling is under way that could hit the object's next use
        _status = Target.Finish(this, status);
        if (CompletesInline)
        {
            _core.SetResult(_status);
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    public void Execute() => _core.SetResult(_status);

    public BlockStatus GetResult(short token)
    {
        var status = _core.GetResult(token);
        Return();
        return status;
    }

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    /// <summary>Gives it back, for one that was never started.</summary>
    public void Return()
    {
        _core.Reset();
        _registration = default;
        _engine = null;
        _isCancelRequested = false;
        Target = null!;
        Buffers = default;
        Start = 0;
        Flags = WriteFlags.None;
        Name = null;
        Moved = 0;
        Slack = 0;
        Ticket = 0;
        MustWait = false;
        IsBlocking = false;
        HoldsLock = false;
        CompletesInline = false;
        lock (PoolLock)
        {
            if (_pooled < PoolLimit)
            {
                Next = _pool;
                _pool = this;
                _pooled++;
            }
        }
    }

    private void RequestCancel()
    {
        _isCancelRequested = true;
        _engine!.Cancel(this, _core.Version);
    }
}
