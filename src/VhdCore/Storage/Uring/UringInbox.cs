namespace VhdCore.Storage.Uring;

/// <summary>What other threads hand to a worker: a list that any thread pushes onto without a lock, and that the worker takes as a whole.</summary>
internal sealed class UringInbox
{
    private readonly IoRequest _closed = IoRequest.Rent(null!, IoKind.Read, 0, 0); // stands for a list that takes nothing more
    private IoRequest? _newest;

    public bool IsEmpty => Volatile.Read(ref _newest) is null;

    /// <summary>Adds a request that is in no other list. Any thread.</summary>
    /// <returns>False once the inbox is closed.</returns>
    public bool TryPush(IoRequest request)
    {
        var head = Volatile.Read(ref _newest);
        while (head != _closed)
        {
            request.Next = head;
            var seen = Interlocked.CompareExchange(ref _newest, request, head);
            if (seen == head)
            {
                return true;
            }

            head = seen;
        }

        request.Next = null;
        return false;
    }

    /// <summary>Moves all that is there, oldest first. The worker's thread, before it closes the inbox.</summary>
    public void MoveTo(ref IoRequestQueue queue)
    {
        if (IsEmpty)
        {
            return;
        }

        // Newest first: turn it round.
        var taken = Interlocked.Exchange(ref _newest, null);
        IoRequest? ordered = null;
        while (taken is not null)
        {
            (taken.Next, ordered, taken) = (ordered, taken, taken.Next);
        }

        while (ordered is not null)
        {
            var next = ordered.Next;
            queue.Add(ordered);
            ordered = next;
        }
    }

    /// <summary>Takes nothing more from now on.</summary>
    /// <returns>False where something has come: it must be taken first.</returns>
    public bool TryClose() => Interlocked.CompareExchange(ref _newest, _closed, null) is null;
}
