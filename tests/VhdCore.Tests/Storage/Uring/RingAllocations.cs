using VhdCore.Errors;

namespace VhdCore.Tests.Storage.Uring;

/// <summary>Counts what a ring's thread allocates while requests are made, and awaited, by workers whose continuations run there.</summary>
internal static class RingAllocations
{
    /// <summary>Requests under way at once, each worker's one.</summary>
    public const int Workers = 32;

    private const int Requests = 100; // of a worker in a round
    private const int Settling = 10; // requests until a worker's continuations run on the ring's thread
    private const int Rounds = 50; // at most; the runtime may take long to compile methods to their last tier while other tests run

    /// <summary>Requires that requests allocate nothing once all is warm.</summary>
    /// <param name="request">Makes a worker's n-th request.</param>
    public static async Task RequireNoneAsync(Func<int, int, ValueTask<BlockStatus>> request)
    {
        var perRound = await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(() => MeasureAsync(worker, request))));

        // What all workers together allocated in a worker's best round. Less than a byte a request is the runtime's own: a thread that it starts, a table that it enlarges.
        Assert.All(perRound, allocated => Assert.InRange(allocated, 0, (Workers * (Requests - Settling - 1)) - 1));
    }

    private static async Task<long> MeasureAsync(int worker, Func<int, int, ValueTask<BlockStatus>> request)
    {
        var least = long.MaxValue;
        for (var round = 0; round < Rounds && least > 0; round++)
        {
            var (before, thread) = (0L, 0);
            for (var i = 0; i < Requests; i++)
            {
                if (await request(worker, i).ConfigureAwait(false) != BlockStatus.Ok)
                {
                    Assert.Fail("A request failed.");
                }

                if (i == Settling)
                {
                    (before, thread) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CurrentManagedThreadId);
                }
            }

            // Who finds his requests done before he awaits them stays on his own thread, and counts that one's bytes: such a round says nothing.
            if (Environment.CurrentManagedThreadId == thread)
            {
                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            }
        }

        return least;
    }
}
