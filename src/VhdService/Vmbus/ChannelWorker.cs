namespace VhdService.Vmbus;

/// <summary>Serves one open channel. Woken by the guest's signals.</summary>
internal abstract class ChannelWorker(IWorkScheduler scheduler) : Worker(scheduler)
{
    private Action? _onStopped;
    private volatile bool _isStopping;

    /// <summary>No more requests are to be taken.</summary>
    protected bool IsStopping => _isStopping;

    /// <summary>Ends the service: nothing more is taken from the ring, and what is under way is waited for.</summary>
    /// <param name="onStopped">Called once, when nothing touches the channel's rings or the guest's memory any more; not inside this call.</param>
    public void Stop(Action onStopped)
    {
        _onStopped = onStopped;
        _isStopping = true;
        Wake();
    }

    /// <summary>To be called on the worker, after <see cref="IsStopping"/>, when nothing is under way; again does nothing.</summary>
    protected void SetStopped() => Interlocked.Exchange(ref _onStopped, null)?.Invoke();
}
