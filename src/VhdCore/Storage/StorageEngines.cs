using VhdCore.Errors;
using VhdCore.Storage.Uring;

namespace VhdCore.Storage;

/// <summary>The engines of this process, started when first needed; all files share them.</summary>
public static class StorageEngines
{
    /// <summary>The environment variable that <see cref="StorageEngine.Auto"/> obeys: <c>uring</c> or <c>portable</c>.</summary>
    public const string Variable = "VHDKIT_ENGINE";

    private static readonly Lazy<(UringEngine? Engine, string Reason)> Ring = new(StartRing);
    private static readonly Lazy<ThreadEngine> Threads = new(static () => new ThreadEngine());

    /// <summary>Which engine a setting means on this machine, and why not a better one. Starts it.</summary>
    /// <exception cref="StorageException">It is <see cref="StorageEngine.Uring"/>, and there is none.</exception>
    public static string Describe(StorageEngine wanted = StorageEngine.Auto)
    {
        var resolved = Resolve(wanted);
        var engine = For(wanted);
        return engine == Threads.Value && resolved == StorageEngine.Auto ? $"{engine.Description}, since {Ring.Value.Reason}" : engine.Description;
    }

    /// <summary>The engine that a setting means.</summary>
    /// <exception cref="StorageException">It is <see cref="StorageEngine.Uring"/>, and there is none.</exception>
    internal static IoEngine For(StorageEngine wanted)
    {
        var resolved = Resolve(wanted);
        if (resolved == StorageEngine.Portable)
        {
            return Threads.Value;
        }

        var (ring, reason) = Ring.Value;
        return ring is not null ? ring
            : resolved == StorageEngine.Uring
                ? throw new StorageException($"The engine 'uring' is not to be had: {reason}. Choose the engine 'portable', or none.", path: "io_uring")
                : Threads.Value;
    }

    /// <summary>Says now what <see cref="For"/> would say later. Starts an engine only where a certain one was asked for.</summary>
    /// <inheritdoc cref="For"/>
    internal static void Check(StorageEngine wanted)
    {
        if (Resolve(wanted) == StorageEngine.Uring)
        {
            For(wanted);
        }
    }

    private static StorageEngine Resolve(StorageEngine wanted)
    {
        if (wanted != StorageEngine.Auto)
        {
            return wanted;
        }

        return Environment.GetEnvironmentVariable(Variable) switch
        {
            null or "" or "auto" => StorageEngine.Auto,
            "uring" => StorageEngine.Uring,
            "portable" => StorageEngine.Portable,
            var other => throw new StorageException($"{Variable} is '{other}'. It names an engine: 'uring' or 'portable', or nothing for the best there is.", path: Variable),
        };
    }

    private static (UringEngine? Engine, string Reason) StartRing()
    {
        var engine = UringEngine.TryStart(out var reason);
        return (engine, reason);
    }
}
