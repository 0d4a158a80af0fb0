using System.Runtime.InteropServices;

namespace VhdCore.Layers;

/// <summary>
/// Counts the operations in flight by epoch, so that space and state are destroyed only when nobody can still be using them.
/// </summary>
/// <remarks>
/// An operation takes a ticket before its first resolve and gives it back after its last byte, on any thread. The epoch goes from e to e+1 only
/// when no ticket of e-1 is left; what was unpublished in epoch t is out of everybody's reach once the epoch is t+2. Never wait for a drain while holding
/// a ticket.
/// </remarks>
internal sealed class InFlightGate
{
    private readonly int _stripeMask;
    private readonly Cell[] _cells; // stripe * 2 + (epoch & 1)
    private readonly Lock _advance = new();
    private long _epoch = 1;
    private volatile bool _closed;
    private volatile TaskCompletionSource? _exitSignal; // a drain waits for a counter to reach zero

    public InFlightGate()
    {
        var stripes = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(Environment.ProcessorCount, 1, 64));
        _stripeMask = stripes - 1;
        _cells = new Cell[stripes * 2];
    }

    /// <summary>The current epoch. What is unpublished now may be reused when <see cref="IsDrained"/> says so of this number.</summary>
    public long Epoch => Volatile.Read(ref _epoch);

    /// <summary>No new tickets are given.</summary>
    public bool IsClosed => _closed;

    /// <summary>Takes a ticket.</summary>
    /// <returns>False once the gate is closed; no ticket was taken then.</returns>
    public bool TryEnter(out Ticket ticket)
    {
        var stripe = (Environment.CurrentManagedThreadId & _stripeMask) * 2;
        while (true)
        {
            var epoch = Volatile.Read(ref _epoch);
            var index = stripe + (int)(epoch & 1);
            Interlocked.Increment(ref _cells[index].Count);

            // Without this second look, an advance between the read and the increment would miss the ticket.
            if (Volatile.Read(ref _epoch) == epoch && !_closed)
            {
                ticket = new Ticket(index);
                return true;
            }

            Leave(index);
            if (_closed)
            {
                ticket = default;
                return false;
            }
        }
    }

    /// <summary>Gives a ticket back, once.</summary>
    public void Exit(Ticket ticket) => Leave(ticket.Index);

    /// <summary>Whether every operation that was in flight at epoch <paramref name="tag"/> has ended; moves the epoch on if it can.</summary>
    public bool IsDrained(long tag)
    {
        while (Epoch < tag + 2)
        {
            if (!TryAdvance())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Waits until every ticket that is out now has come back. The caller holds none.</summary>
    public async ValueTask DrainAsync(CancellationToken cancellationToken = default)
    {
        var tag = Epoch;
        while (!IsDrained(tag))
        {
            var signal = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var installed = Interlocked.CompareExchange(ref _exitSignal, signal, null) ?? signal;
            if (IsDrained(tag))
            {
                return;
            }

            await installed.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Gives no more tickets, and waits for those that are out.</summary>
    public ValueTask CloseAsync()
    {
        _closed = true;
        Interlocked.MemoryBarrier();
        return DrainAsync();
    }

    private void Leave(int index)
    {
        if (Interlocked.Decrement(ref _cells[index].Count) == 0 && _exitSignal is not null)
        {
            Interlocked.Exchange(ref _exitSignal, null)?.TrySetResult();
        }
    }

    private bool TryAdvance()
    {
        lock (_advance)
        {
            var previous = (int)((_epoch - 1) & 1);
            for (var i = previous; i < _cells.Length; i += 2)
            {
                if (Volatile.Read(ref _cells[i].Count) != 0)
                {
                    return false;
                }
            }

            Interlocked.Increment(ref _epoch);
            return true;
        }
    }

    /// <summary>Proof of being in flight.</summary>
    internal readonly record struct Ticket(int Index);

    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Cell // a pair of cache lines each, so that stripes do not share one
    {
        [FieldOffset(0)]
        public int Count;
    }
}
