using System.Diagnostics;
using VhdService.Vmbus;

namespace VhdService.Testing;

/// <summary>A host that runs on the guest's thread when it is told to, in order, gives nothing to the collector, and knows how long it ran.</summary>
internal sealed class DirectWorld : IWorld, IWorkScheduler
{
    private readonly Queue<IThreadPoolWorkItem> _items = new(64);

    public IWorkScheduler Scheduler => this;

    public TimeProvider Time { get; } = new ManualTime();

    /// <summary>Time in the host's code, in <see cref="Stopwatch"/> ticks.</summary>
    public long HostTicks { get; private set; }

    /// <summary>Bytes that the host's code gave to the collector.</summary>
    public long HostAllocated { get; private set; }

    public int InterruptCount { get; private set; }

    public void Schedule(IThreadPoolWorkItem item)
    {
        lock (_items)
        {
            _items.Enqueue(item);
        }
    }

    public void Run()
    {
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var start = Stopwatch.GetTimestamp();
        while (TryTake(out var item))
        {
            item.Execute();
        }

        HostTicks += Stopwatch.GetTimestamp() - start;
        HostAllocated += GC.GetAllocatedBytesForCurrentThread() - allocated;
    }

    public void Step()
    {
        Run();
        ((ManualTime)Time).Advance(TimeSpan.FromMilliseconds(1));
    }

    public void OnInterrupt() => InterruptCount++;

    public void Reset() => (HostTicks, HostAllocated, InterruptCount) = (0, 0, 0);

    private bool TryTake([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out IThreadPoolWorkItem? item)
    {
        lock (_items)
        {
            return _items.TryDequeue(out item);
        }
    }
}
