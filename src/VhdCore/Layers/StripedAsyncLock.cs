namespace VhdCore.Layers;

/// <summary>
/// Readers-writer locks by block number, for the one place where writes must not pass each other: a write of part of a sector that the leaf does
/// not hold reads, merges and writes the whole sector, alone in its block; every other write, trim and zero of that block shares.
/// </summary>
/// <remarks>
/// Blocks share <see cref="StripeCount"/> stripes. Waiters are served in order, so neither side starves. A holder takes one stripe at a time and
/// never waits for another, so there is no deadlock. Not bound to threads.
/// </remarks>
internal sealed class StripedAsyncLock
{
    public const int StripeCount = 256;

    private readonly Stripe[] _stripes = new Stripe[StripeCount];

    public StripedAsyncLock()
    {
        for (var i = 0; i < _stripes.Length; i++)
        {
            _stripes[i] = new Stripe();
        }
    }

    /// <summary>Enters together with other sharers of the block's stripe. Completes at once unless an exclusive holder is there or waits.</summary>
    public ValueTask EnterSharedAsync(long block) => Of(block).EnterAsync(exclusive: false);

    public void ExitShared(long block) => Of(block).Exit(exclusive: false);

    /// <summary>Enters alone.</summary>
    public ValueTask EnterExclusiveAsync(long block) => Of(block).EnterAsync(exclusive: true);

    public void ExitExclusive(long block) => Of(block).Exit(exclusive: true);

    private Stripe Of(long block) => _stripes[(int)(block & (StripeCount - 1))];

    private sealed class Stripe
    {
        private const int Exclusive = -1;
        private const int Contended = int.MinValue; // added to the state while waiters exist, so that the fast path fails

        private readonly Lock _lock = new();
        private int _state; // sharers, or Exclusive; when Contended, the truth is in _holders
        private int _holders;
        private Queue<(TaskCompletionSource Source, bool Exclusive)>? _waiters;

        public ValueTask EnterAsync(bool exclusive)
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

        public void Exit(bool exclusive)
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
}
