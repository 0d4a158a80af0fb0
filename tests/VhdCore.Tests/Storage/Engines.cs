using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Tests.Storage;

/// <summary>The ways from a request to a medium that tests run over. CI runs them all; no variable or second run is needed.</summary>
internal static class Engines
{
    /// <summary>Through rings, cached; completions on the ring's thread.</summary>
    public static IoSettings Ring { get; } = new() { Engine = StorageEngine.Uring, Waits = CallerWaits.Never };

    /// <summary>Through rings, direct.</summary>
    public static IoSettings DirectRing { get; } = Ring with { Cache = StorageCache.None };

    /// <summary>Through rings, direct; completions on the thread pool.</summary>
    public static IoSettings DirectRingToPool { get; } = DirectRing with { Waits = CallerWaits.ForMemory };

    /// <summary>By threads that wait, cached.</summary>
    public static IoSettings Threads { get; } = new() { Engine = StorageEngine.Portable, Waits = CallerWaits.Never };

    /// <summary>By threads that wait, direct.</summary>
    public static IoSettings DirectThreads { get; } = Threads with { Cache = StorageCache.None };

    /// <summary>On the caller's thread, direct.</summary>
    public static IoSettings DirectCaller { get; } = IoSettings.Batch with { Cache = StorageCache.None };

    /// <summary>Skips the calling test where the engine is not to be had.</summary>
    public static IoSettings Require(IoSettings io)
    {
        try
        {
            StorageEngines.Describe(io.Engine);
        }
        catch (StorageException e)
        {
            Assert.Skip(e.Message);
        }

        return io;
    }
}
