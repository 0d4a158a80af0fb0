using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Storage;

/// <summary>A file's side of the engines: which requests stay on their caller's thread, and what closing waits for.</summary>
internal abstract class EngineUser : IIoTarget
{
    private readonly RequestCount _requests = new(); // that an engine has
    private readonly StorageEngine _choice;
    private IoEngine? _engine;

    /// <param name="options">How the file was opened.</param>
    protected EngineUser(StorageOpenOptions options)
    {
        Waits = options.Io.Waits;
        _choice = options.Io.Engine;
        _engine = options.OwnEngine;
    }

    public abstract int Descriptor { get; }

    /// <summary>What the caller's thread may wait for.</summary>
    protected CallerWaits Waits { get; }

    /// <summary>The content lives in memory: nothing ever waits for a medium, and everything is done on the caller's thread.</summary>
    protected virtual bool IsInMemory => false;

    /// <summary>What neither reads nor writes nor flushes is done by the caller.</summary>
    protected bool StaysOnCaller => Waits != CallerWaits.Never || IsInMemory;

    public abstract BlockStatus Run(IoRequest request);

    BlockStatus? IIoTarget.Judge(IoRequest request, int errno) => JudgeCore(request, errno);

    BlockStatus IIoTarget.Finish(IoRequest request, BlockStatus status)
    {
        if (request.Kind == IoKind.Write)
        {
            status = AfterWrite(request.Offset + request.Length, request.Flags, status);
        }

        FinishCore(request);
        _requests.Exit();
        return status;
    }

    /// <inheritdoc cref="IIoTarget.Judge"/>
    protected virtual BlockStatus? JudgeCore(IoRequest request, int errno) => BlockStatus.IoError;

    /// <summary>A request has ended that an engine had.</summary>
    protected virtual void FinishCore(IoRequest request)
    {
    }

    /// <summary>The last step of every write.</summary>
    protected abstract BlockStatus AfterWrite(long end, WriteFlags flags, BlockStatus status);

    /// <summary>Gives a request to the engine.</summary>
    protected ValueTask<BlockStatus> Enqueue(IoRequest request, CancellationToken cancellationToken)
    {
        if (!_requests.TryEnter())
        {
            FinishCore(request);
            request.Return();
            return new(BlockStatus.Closed);
        }

        request.CompletesInline = Waits == CallerWaits.Never;
        return request.StartAsync(_engine ??= StorageEngines.For(_choice), cancellationToken);
    }

    /// <summary>Counts a request that no engine has, but that closing waits for too.</summary>
    protected bool TryEnter() => _requests.TryEnter();

    /// <summary>Ends what <see cref="TryEnter"/> began.</summary>
    protected void Exit() => _requests.Exit();

    /// <summary>Refuses further requests, and waits for those in flight.</summary>
    protected ValueTask CloseRequestsAsync() => _requests.CloseAsync();

    /// <summary>Why a request cannot even begin.</summary>
    protected BlockStatus RefuseNow(CancellationToken cancellationToken) =>
        _requests.IsClosed ? BlockStatus.Closed : cancellationToken.IsCancellationRequested ? BlockStatus.Cancelled : BlockStatus.Ok;
}
