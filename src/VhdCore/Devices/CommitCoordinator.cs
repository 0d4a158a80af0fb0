using VhdCore.Errors;
using VhdCore.Layers;

namespace VhdCore.Devices;

/// <summary>
/// Turns flushes into commits of the leaf: one at a time, one for all who waited, none when nothing changed; and one of its own when changed tables have
/// waited for a second.
/// </summary>
/// <remarks>
/// A flush is served by any round that started after it was asked for. A failed round is never tried again: the kernel may have dropped what it could not
/// write. From then on writes are refused, and reads go on.
/// </remarks>
internal sealed class CommitCoordinator : IDisposable
{
    private static readonly TimeSpan TimedCommit = TimeSpan.FromSeconds(1);

    private readonly IWritableLayer _leaf;
    private readonly SemaphoreSlim _mutex = new(1, 1);
    private readonly ITimer _timer;
    private long _started;
    private long _completed;
    private int _isUnsynced; // payload was acknowledged since the last round began
    private int _isTimerArmed;
    private volatile BlockStatus _fault = BlockStatus.Ok;
    private volatile bool _isTimed = true;
    private bool _isClosed; // guarded by _mutex

    public CommitCoordinator(IWritableLayer leaf, TimeProvider timeProvider)
    {
        _leaf = leaf;
        _timer = timeProvider.CreateTimer(static self => ((CommitCoordinator)self!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A commit has failed.</summary>
    public bool IsFaulted => _fault != BlockStatus.Ok;

    /// <summary>
    /// Whether changed tables are committed after a second. Not while an image is being made that has no name yet: a power cut would leave nobody to look for
    /// it, and commits by the clock would make its layout depend on the clock.
    /// </summary>
    public bool IsTimed
    {
        get => _isTimed;
        set
        {
            _isTimed = value;
            TablesChanged();
        }
    }

    /// <summary>Payload has landed and its sectors are marked; called before the write is acknowledged.</summary>
    public void PayloadWritten()
    {
        if (Volatile.Read(ref _isUnsynced) == 0)
        {
            Volatile.Write(ref _isUnsynced, 1);
        }

        TablesChanged();
    }

    /// <summary>Tables may have changed.</summary>
    public void TablesChanged()
    {
        if (_isTimed && _leaf.IsDirty)
        {
            ArmTimer();
        }
    }

    /// <summary>Makes durable whatever was acknowledged before this call.</summary>
    public async ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken)
    {
        // A full fence, as the increment below is one: either this sees the round begun, or the round sees what was acknowledged before this call.
        Interlocked.MemoryBarrier();
        var need = Volatile.Read(ref _started) + 1;
        try
        {
            await _mutex.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return BlockStatus.Cancelled;
        }

        try
        {
            if (_fault != BlockStatus.Ok)
            {
                return _fault;
            }

            if (_isClosed)
            {
                return BlockStatus.Closed;
            }

            if (_completed >= need)
            {
                return BlockStatus.Ok;
            }

            Interlocked.Increment(ref _started);
            return await RoundAsync().ConfigureAwait(false);
        }
        finally
        {
            _mutex.Release();
        }
    }

    /// <summary>Commits what is left and leaves the image as after a clean shutdown. Nothing is in flight; later flushes are refused.</summary>
    public async ValueTask<BlockStatus> CloseAsync()
    {
        await _timer.DisposeAsync().ConfigureAwait(false);
        await _mutex.WaitAsync().ConfigureAwait(false);
        try
        {
            _isClosed = true;
            if (_fault == BlockStatus.Ok)
            {
                _fault = await _leaf.CloseAsync(CancellationToken.None).ConfigureAwait(false);
            }

            return _fault;
        }
        finally
        {
            _mutex.Release();
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        _mutex.Dispose();
    }

    private async ValueTask<BlockStatus> RoundAsync()
    {
        var wasUnsynced = Interlocked.Exchange(ref _isUnsynced, 0) != 0;
        if (wasUnsynced || _leaf.IsDirty)
        {
            // A round that has begun is finished: half of one cancelled would be a failure for all who wait.
            var status = await _leaf.CommitAsync(CancellationToken.None).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                status = status == BlockStatus.NoSpace ? BlockStatus.NoSpace : BlockStatus.IoError;
                _fault = Sabotage.Is(SabotagePoint.FaultStays) ? BlockStatus.Ok : status;
                return status;
            }
        }

        Volatile.Write(ref _completed, _started);
        if (_isTimed && _leaf.HasFreedSpace)
        {
            ArmTimer(); // whoever asked for this round may be the last that could be using it
        }

        return BlockStatus.Ok;
    }

    private void ArmTimer()
    {
        if (Volatile.Read(ref _isTimerArmed) == 0 && Interlocked.Exchange(ref _isTimerArmed, 1) == 0)
        {
            _timer.Change(TimedCommit, Timeout.InfiniteTimeSpan);
        }
    }

    private async ValueTask GiveBackAsync()
    {
        if (!_leaf.HasFreedSpace)
        {
            return;
        }

        await _mutex.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!_isClosed && _fault == BlockStatus.Ok)
            {
                await _leaf.GiveBackAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _mutex.Release();
        }

        if (_isTimed && _leaf.HasFreedSpace)
        {
            ArmTimer(); // more than one turn takes, or a request that may be using it is still under way
        }
    }

    private void OnTimer()
    {
        Volatile.Write(ref _isTimerArmed, 0);
        _ = CommitInBackgroundAsync();
    }

    private async Task CommitInBackgroundAsync()
    {
        try
        {
            await FlushAsync(CancellationToken.None).ConfigureAwait(false);
            await GiveBackAsync().ConfigureAwait(false);
        }
        catch (Exception)
        {
            // No caller is there to tell: whoever flushes next is told.
            _fault = BlockStatus.IoError;
        }
    }
}
