namespace VhdCore.Testing.Crash;

/// <summary>
/// Decides in which order operations on media happen, by a seed: each waits until it is picked, and what awaits it goes on at once, on the picking thread.
/// So a run with many requests in flight is the same every time, as long as the code under test starts no threads of its own.
/// </summary>
public sealed class StepScheduler(int seed)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Lock _gate = new();
    private readonly List<TaskCompletionSource> _waiting = [];
    private readonly Random _random = new(seed);

    /// <summary>Completes when this operation's turn has come.</summary>
    public Task TurnAsync()
    {
        var turn = new TaskCompletionSource(); // continues on the thread of Step
        lock (_gate)
        {
            _waiting.Add(turn);
        }

        return turn.Task;
    }

    /// <summary>Lets one waiting operation happen.</summary>
    /// <returns>False when none waits.</returns>
    public bool Step()
    {
        TaskCompletionSource turn;
        lock (_gate)
        {
            if (_waiting.Count == 0)
            {
                return false;
            }

            var index = _random.Next(_waiting.Count);
            turn = _waiting[index];
            _waiting.RemoveAt(index);
        }

        turn.SetResult();
        return true;
    }

    /// <summary>Lets operations happen until the task has ended.</summary>
    /// <exception cref="TimeoutException">Nothing happens any more.</exception>
    public void Run(Task task)
    {
        while (!task.IsCompleted)
        {
            if (!Step())
            {
                WaitForOthers(task);
            }
        }

        task.GetAwaiter().GetResult();
    }

    private void WaitForOthers(Task task)
    {
        // Something continues on a pool thread; it will end, or ask for a turn.
        var since = System.Diagnostics.Stopwatch.StartNew();
        while (!task.IsCompleted)
        {
            lock (_gate)
            {
                if (_waiting.Count > 0)
                {
                    return;
                }
            }

            if (since.Elapsed > Patience)
            {
                throw new TimeoutException("No operation waits for its turn, and the run has not ended.");
            }

            Thread.Yield();
        }
    }
}
