namespace VhdService.Vmbus;

/// <summary>Where workers run. One of threads, one of tests that run them step by step.</summary>
internal interface IWorkScheduler
{
    /// <summary>Calls the item's Execute soon, and never inside this call.</summary>
    void Schedule(IThreadPoolWorkItem item);
}

/// <summary>Runs workers on the thread pool.</summary>
internal sealed class ThreadPoolScheduler : IWorkScheduler
{
    public static readonly ThreadPoolScheduler Instance = new();

    public void Schedule(IThreadPoolWorkItem item) => ThreadPool.UnsafeQueueUserWorkItem(item, preferLocal: false);
}

/// <summary>Something that runs when it is woken, on one thread at a time. A wake is never lost: whoever wakes sees a run that begins afterwards.</summary>
internal abstract class Worker(IWorkScheduler scheduler) : IThreadPoolWorkItem
{
    private const int Idle = 0;
    private const int Scheduled = 1;
    private const int Running = 2;
    private const int RunningAndWoken = 3;

    private int _state;

    /// <summary>Makes it run. Any thread; costs next to nothing while it is going to run anyway.</summary>
    public void Wake()
    {
        while (true)
        {
            // The read modifies nothing but is ordered behind what the caller wrote: a run that began before would otherwise miss it.
            switch (Interlocked.CompareExchange(ref _state, Scheduled, Idle))
            {
                case Idle:
                    scheduler.Schedule(this);
                    return;

                case Running when Interlocked.CompareExchange(ref _state, RunningAndWoken, Running) != Running:
                    continue;

                default:
                    return;
            }
        }
    }

    /// <inheritdoc/>
    public void Execute()
    {
        Interlocked.Exchange(ref _state, Running);
        bool hasMore;
        try
        {
            hasMore = Run();
        }
        catch (Exception exception)
        {
            hasMore = false;
            OnFault(exception);
        }

        if (hasMore || Interlocked.CompareExchange(ref _state, Idle, Running) != Running)
        {
            Interlocked.Exchange(ref _state, Scheduled);
            scheduler.Schedule(this);
        }
    }

    /// <summary>Does what there is to do, as long as that is decent towards others.</summary>
    /// <returns>Whether there is more to do.</returns>
    protected abstract bool Run();

    /// <summary>Run threw, which only a mistake in this program can cause. What the worker serves is to stop, and nothing else.</summary>
    protected abstract void OnFault(Exception exception);
}
