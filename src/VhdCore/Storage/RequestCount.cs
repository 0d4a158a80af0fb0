namespace VhdCore.Storage;

/// <summary>Counts requests in flight, so that a file is closed only when the last has ended.</summary>
internal sealed class RequestCount
{
    private const long Closed = 1L << 62; // beside the count

    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _state;

    /// <summary>No more are counted.</summary>
    public bool IsClosed => (Volatile.Read(ref _state) & Closed) != 0;

    /// <summary>Counts one more.</summary>
    /// <returns>False once it is closed; nothing was counted then.</returns>
    public bool TryEnter()
    {
        if ((Interlocked.Increment(ref _state) & Closed) == 0)
        {
            return true;
        }

        Exit();
        return false;
    }

    /// <summary>One has ended.</summary>
    public void Exit()
    {
        if (Interlocked.Decrement(ref _state) == Closed)
        {
            _drained.TrySetResult();
        }
    }

    /// <summary>Counts no more, and waits for the last to end.</summary>
    public ValueTask CloseAsync() => Interlocked.Or(ref _state, Closed) == 0 ? ValueTask.CompletedTask : new ValueTask(_drained.Task);
}
