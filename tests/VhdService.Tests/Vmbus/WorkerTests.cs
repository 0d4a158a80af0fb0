using VhdService.Vmbus;

namespace VhdService.Tests.Vmbus;

/// <summary>A wake is never lost, and never makes two runs at once.</summary>
public sealed class WorkerTests
{
    private readonly Queue<IThreadPoolWorkItem> _scheduled = new();
    private readonly Probe _worker;

    public WorkerTests() => _worker = new Probe(new Scheduler(_scheduled));

    [Fact]
    public void A_wake_during_a_run_makes_another_run()
    {
        _worker.During = _worker.Wake;
        _worker.Wake();
        RunNext();
        _worker.During = null;
        RunNext();
        Assert.Empty(_scheduled);
        Assert.Equal(2, _worker.Runs);
    }

    [Fact]
    public void Wakes_before_a_run_make_one()
    {
        _worker.Wake();
        _worker.Wake();
        _worker.Wake();
        RunNext();
        Assert.Empty(_scheduled);
        Assert.Equal(1, _worker.Runs);
    }

    [Fact]
    public void Many_wakes_during_a_run_make_one_other()
    {
        _worker.During = () =>
        {
            _worker.Wake();
            _worker.Wake();
            _worker.Wake();
            Assert.Empty(_scheduled); // not at the same time
        };
        _worker.Wake();
        RunNext();
        Assert.Single(_scheduled);
        Assert.Equal(0, _worker.Faults);
    }

    [Fact]
    public void A_worker_with_more_to_do_runs_again_and_sleeps_when_it_is_done()
    {
        _worker.HasMore = true;
        _worker.Wake();
        RunNext();
        _worker.HasMore = false;
        RunNext();
        Assert.Empty(_scheduled);
        _worker.Wake();
        Assert.Single(_scheduled);
    }

    [Fact]
    public void A_wake_during_a_run_that_fails_is_not_lost()
    {
        _worker.During = () =>
        {
            _worker.Wake();
            throw new InvalidOperationException("a mistake");
        };
        _worker.Wake();
        RunNext();
        Assert.Equal(1, _worker.Faults);
        Assert.Single(_scheduled);
    }

    [Fact]
    public async Task What_is_handed_over_before_a_wake_is_seen_by_a_run_on_any_thread()
    {
        var sum = 0L;
        var box = 0L;
        var worker = new Probe(ThreadPoolScheduler.Instance) { During = () => sum += Interlocked.Exchange(ref box, 0) };
        await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 100_000; i++)
            {
                Interlocked.Increment(ref box);
                worker.Wake();
            }
        })));
        var deadline = TimeProvider.System.GetTimestamp();
        while (Volatile.Read(ref sum) < 200_000 && TimeProvider.System.GetElapsedTime(deadline) < TimeSpan.FromMinutes(1))
        {
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        Assert.Equal(200_000, Volatile.Read(ref sum));
        Assert.Equal(0, worker.Faults);
    }

    private void RunNext() => _scheduled.Dequeue().Execute();

    private sealed class Probe(IWorkScheduler scheduler) : Worker(scheduler)
    {
        public Action? During { get; set; }

        public bool HasMore { get; set; }

        public int Runs { get; private set; }

        public int Faults { get; private set; }

        protected override bool Run()
        {
            Runs++;
            During?.Invoke();
            return HasMore;
        }

        protected override void OnFault(Exception exception) => Faults++;
    }

    private sealed class Scheduler(Queue<IThreadPoolWorkItem> scheduled) : IWorkScheduler
    {
        public void Schedule(IThreadPoolWorkItem item) => scheduled.Enqueue(item);
    }
}
