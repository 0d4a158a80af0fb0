using System.Runtime.CompilerServices;

namespace VhdCore.Testing.Crash;

/// <summary>
/// Decides in which order operations on media happen, by a seed: each waits until it is picked, and what awaits it goes on at once, on the picking thread.
/// So a run with many requests in flight is the same every time, as long as the code under test starts no threads of its own.
/// </summary>
public sealed class StepScheduler(int seed)
{
    private const int SlowChance = 4; // one operation in so many is overtaken by almost all others
    private const int Overtakings = 8;
    private static readonly TimeSpan Moment = TimeSpan.FromMicroseconds(50);

    private readonly Lock _gate = new();
    private readonly List<Waiter> _waiting = [];
    private readonly Random _random = new(seed);

    /// <summary>
    /// How many flows of control there are: with fewer operations waiting, the next is picked only after a moment, in which a flow that a lock has sent through
    /// another thread may still come.
    /// </summary>
    public int FlowCount { get; set; }

    /// <summary>The next operation that asks for a turn is one that almost all others overtake.</summary>
    public bool IsNextSlow { get; set; }

    /// <summary>Await it to go on when this operation's turn has come, on the thread that picks.</summary>
    public Turn TurnAsync() => new(this);

    /// <summary>Lets one waiting operation happen.</summary>
    /// <returns>False when none waits.</returns>
    public bool Step()
    {
        Waiter waiter;
        lock (_gate)
        {
            if (_waiting.Count == 0)
            {
                return false;
            }

            var index = _random.Next(_waiting.Count);
            for (var i = 0; i < Overtakings && _waiting[index].IsSlow; i++)
            {
                index = _random.Next(_waiting.Count);
            }

            waiter = _waiting[index];
            _waiting.RemoveAt(index);
        }

        waiter.GoOn();
        return true;
    }

    /// <summary>Lets operations happen until the task has ended.</summary>
    /// <exception cref="TimeoutException">Nothing happens any more.</exception>
    public void Run(Task task)
    {
        while (!task.IsCompleted)
        {
            WaitForFlows(task);
            if (!Step())
            {
                WaitForOthers(task);
            }
        }

        task.GetAwaiter().GetResult();
    }

    private int WaitingCount
    {
        get
        {
            lock (_gate)
            {
                return _waiting.Count;
            }
        }
    }

    private void WaitForFlows(Task task)
    {
        var since = System.Diagnostics.Stopwatch.StartNew();
        while (WaitingCount < FlowCount && !task.IsCompleted && since.Elapsed < Moment)
        {
            Thread.SpinWait(10);
        }
    }

    private void WaitForOthers(Task task)
    {
        // Something continues on a pool thread; it will end, or ask for a turn.
        var since = System.Diagnostics.Stopwatch.StartNew();
        while (!task.IsCompleted)
        {
            if (WaitingCount > 0)
            {
                return;
            }

            if (since.Elapsed > Patience.Hang)
            {
                throw new TimeoutException("No operation waits for its turn, and the run has not ended.");
            }

            Thread.Yield();
        }
    }

    private void Add(Action goOn)
    {
        lock (_gate)
        {
            _waiting.Add(new Waiter(goOn, IsNextSlow | _random.Next(SlowChance) == 0));
            IsNextSlow = false;
        }
    }

    /// <summary>An awaitable that is never complete when it is awaited.</summary>
    public readonly struct Turn(StepScheduler scheduler) : ICriticalNotifyCompletion
    {
        /// <summary>Never: the turn has to come.</summary>
        public bool IsCompleted => false;

        /// <summary>For the compiler.</summary>
        public Turn GetAwaiter() => this;

        /// <summary>For the compiler.</summary>
        public void GetResult()
        {
        }

        /// <inheritdoc/>
        public void OnCompleted(Action continuation) => scheduler.Add(continuation);

        /// <inheritdoc/>
        public void UnsafeOnCompleted(Action continuation) => scheduler.Add(continuation);
    }

    private readonly record struct Waiter(Action GoOn, bool IsSlow);
}
