namespace VhdCore.Primitives;

/// <summary>
/// A readers-writer lock that is awaited. Waiters are served in order, so neither side starves, and go on on the thread pool. Not bound to threads.
/// </summary>
internal sealed class AsyncSharedLock
{
    private const int Exclusive = -1;
    private const int Contended = int.MinValue; // added to the state while waiters exist, so that the fast path fails

    private readonly Lock _lock = new();
    private int _state; // sharers, or Exclusive; when Contended, the truth is in _holders
    private int _holders;
    private Queue<(TaskCompletionSource Source, bool Exclusive)>? _waiters;

    /// <summary>Enters together with other sharers. Completes at once unless an exclusive holder is there or waits.</summary>
    public ValueTask EnterSharedAsync() => EnterAsync(exclusive: false);

    public void ExitShared() => Exit(exclusive: false);

    /// <summary>Enters alone.</summary>
    public ValueTask EnterExclusiveAsync() => EnterAsync(exclusive: true);

    public void ExitExclusive() => Exit(exclusive: true);

    private ValueTask EnterAsync(bool exclusive)
    {
        var state = Volatile.Read(ref _state);
        while (exclusive ? state == 0 : state >= 0)
        {
            var seen = Interlocked.CompareExchange(ref _state, exclusive ? Exclusive : state + 1, state);
            if (seen == state)
            {
                return ValueTask.CompletedTask;
            }

            state = seen;
        }

        return EnterSlowAsync(exclusive);
    }

    private void Exit(bool exclusive)
    {
        while (true)
        {
            var state = Volatile.Read(ref _state);
            if (state != Contended)
            {
                if (Interlocked.CompareExchange(ref _state, exclusive ? 0 : state - 1, state) == state)
                {
                    return;
                }

                continue;
            }

            lock (_lock)
            {
                // The last waiter may have been admitted since, and the fast path be open again.
                if (_state == Contended)
                {
                    _holders = exclusive ? 0 : _holders - 1;
                    Admit();
                    return;
                }
            }
        }
    }

    private ValueTask EnterSlowAsync(bool exclusive)
    {
        lock (_lock)
        {
            if (_waiters is not { Count: > 0 })
            {
                // Freeze the fast path, and take its holders over.
                var state = Interlocked.Exchange(ref _state, Contended);
                _holders = state == Contended ? _holders : state;
            }

            var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            (_waiters ??= new()).Enqueue((source, exclusive));
            Admit();
            return new ValueTask(source.Task);
        }
    }

    private void Admit()
    {
        while (_waiters!.TryPeek(out var next) && (next.Exclusive ? _holders == 0 : _holders >= 0))
        {
            _waiters.Dequeue();
            _holders = next.Exclusive ? Exclusive : _holders + 1;
            next.Source.SetResult();
        }

        if (_waiters.Count == 0)
        {
            Volatile.Write(ref _state, _holders);
        }
    }
}
