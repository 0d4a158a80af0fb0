namespace VhdCore.Testing;

/// <summary>What a piece of work allocates, whatever else the process does meanwhile.</summary>
internal static class Allocations
{
    /// <summary>Bytes that work allocates which goes on without waiting, as it does over storages in memory: all of it is then this thread's.</summary>
    public static long Of(Func<Task> work)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var task = work();
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(task.IsCompleted, "The work waited for something, and went on on another thread, whose allocations are not counted.");
        task.GetAwaiter().GetResult();
        return allocated;
    }
}
