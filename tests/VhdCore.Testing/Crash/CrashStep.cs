namespace VhdCore.Testing.Crash;

/// <summary>What happened to a medium.</summary>
public enum CrashStepKind
{
    /// <summary>Bytes were written.</summary>
    Write,

    /// <summary>A flush is about to begin.</summary>
    FlushStarting,

    /// <summary>A flush has ended.</summary>
    Flushed,

    /// <summary>The length was set.</summary>
    SetLength,

    /// <summary>A hole was punched.</summary>
    Punch,

    /// <summary>A name was created, changed or removed.</summary>
    NameChange,
}

/// <summary>One step of a <see cref="CrashWorld"/>.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Name">To which storage.</param>
/// <param name="Offset">Bytes from the storage's start; for a length, the new one.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct CrashStep(CrashStepKind Kind, string Name, long Offset, long Length);
