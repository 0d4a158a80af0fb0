namespace VhdCore.Storage;

/// <summary>Whether the system's page cache lies between the library and the medium.</summary>
public enum StorageCache
{
    /// <summary>Through the page cache: what is hot is read from memory, and writes reach the medium later, by a flush at the latest.</summary>
    Writeback,

    /// <summary>
    /// Past the page cache (O_DIRECT), for Linux; other systems cache as always. Whole sectors in aligned memory go straight between it and the medium,
    /// anything else through a buffer of the library's.
    /// </summary>
    None,
}

/// <summary>Who does what a request's caller does not wait for.</summary>
public enum StorageEngine
{
    /// <summary>What the environment variable VHDKIT_ENGINE names (<c>uring</c> or <c>portable</c>); else io_uring where the kernel has it for this process, and threads elsewhere.</summary>
    Auto,

    /// <summary>Linux' io_uring; opening fails where there is none and one is needed.</summary>
    Uring,

    /// <summary>Threads that wait.</summary>
    Portable,
}

/// <summary>What a request may keep its caller's thread for.</summary>
public enum CallerWaits
{
    /// <summary>For memory, not for the medium: what is cached is copied on the caller's thread; reads of what is not, flushes and all direct I/O are the engine's. Tasks complete on the thread pool.</summary>
    ForMemory,

    /// <summary>For everything: requests are complete on return. For batch work on threads of its own.</summary>
    ForMedium,

    /// <summary>
    /// For nothing that could stall: cached writes are the engine's too, since a kernel that is short of clean pages makes writers wait. For servers. Tasks complete on
    /// an engine's thread, which must not be blocked: what goes on there may wait for another request only by awaiting it.
    /// </summary>
    Never,
}

/// <summary>How a storage's requests reach the medium.</summary>
public sealed record IoSettings
{
    /// <summary>Cached, by the best engine there is, waiting for memory only.</summary>
    public static IoSettings Default { get; } = new();

    /// <summary>Cached, every request done by its caller's thread: no engine is started.</summary>
    public static IoSettings Batch { get; } = new() { Waits = CallerWaits.ForMedium };

    /// <summary>The page cache.</summary>
    public StorageCache Cache { get; init; }

    /// <summary>The engine.</summary>
    public StorageEngine Engine { get; init; }

    /// <summary>What a request may keep its caller's thread for.</summary>
    public CallerWaits Waits { get; init; }
}
