using VhdService.Vmbus;

namespace VhdService.Testing;

/// <summary>What runs the host beside the guest.</summary>
internal interface IWorld
{
    IWorkScheduler Scheduler { get; }

    TimeProvider Time { get; }

    /// <summary>Lets the host do something, or waits for it to.</summary>
    void Step();

    /// <summary>An interrupt has come.</summary>
    void OnInterrupt();
}

/// <summary>A host that runs only when it is stepped, on the guest's thread: one piece of work at a time, which one is the seed's choice. The same seed is the same run.</summary>
internal sealed class PumpedWorld(int seed) : IWorld, IWorkScheduler
{
    private readonly Lock _lock = new();
    private readonly Random _random = new(seed);
    private readonly List<Action> _work = [];
    private readonly ManualTime _time = new();

    public IWorkScheduler Scheduler => this;

    public TimeProvider Time => _time;

    public int Pending
    {
        get
        {
            lock (_lock)
            {
                return _work.Count;
            }
        }
    }

    public void Schedule(IThreadPoolWorkItem item) => Post(item.Execute);

    /// <summary>Work of a device: the end of a request.</summary>
    public void Post(Action work)
    {
        lock (_lock)
        {
            _work.Add(work);
        }
    }

    /// <summary>Does one piece of work; false when there is none.</summary>
    public bool RunOne()
    {
        Action work;
        lock (_lock)
        {
            if (_work.Count == 0)
            {
                return false;
            }

            var index = _random.Next(_work.Count);
            work = _work[index];
            _work.RemoveAt(index);
        }

        work();
        return true;
    }

    /// <summary>Does all the work there is and that follows from it; no time passes.</summary>
    public void RunAll()
    {
        for (var count = 0; RunOne(); count++)
        {
            if (count > 1_000_000)
            {
                throw new InvalidOperationException("The host goes on working for ever.");
            }
        }
    }

    public void Advance(TimeSpan time) => _time.Advance(time);

    public void Step()
    {
        if (!RunOne())
        {
            Thread.Yield(); // a device may answer on a thread of its own
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }
    }

    public void OnInterrupt()
    {
    }
}

/// <summary>A host on the thread pool, in real time.</summary>
internal sealed class ThreadedWorld : IWorld, IDisposable
{
    private readonly ManualResetEventSlim _interrupt = new();

    public IWorkScheduler Scheduler => ThreadPoolScheduler.Instance;

    public TimeProvider Time => TimeProvider.System;

    public void Step()
    {
        _interrupt.Wait(TimeSpan.FromMilliseconds(5)); // polls as well: not all that is waited for interrupts
        _interrupt.Reset();
    }

    public void OnInterrupt() => _interrupt.Set();

    public void Dispose() => _interrupt.Dispose();
}
