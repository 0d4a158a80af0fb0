namespace VhdService.Guest.Nested;

/// <summary>Who ended the outer machine.</summary>
public enum OuterEnd
{
    /// <summary>Itself, or somebody who is not the test.</summary>
    Itself,

    /// <summary>The test: not even its first process had said anything for a long time.</summary>
    Silent,

    /// <summary>The test: it was alive and did not come to its end.</summary>
    Late,
}

/// <summary>What one start of the outer machine came to.</summary>
/// <remarks>
/// What becomes of the outer machine itself says nothing about the devices: no program can do that to a sound emulator and a sound kernel. Such a start is lost, and worth another.
/// Everything that a guest or its monitor says, or fails to say while the outer machine lives, is a finding.
/// </remarks>
/// <param name="Log">What the monitors, their guests and the outer machine's first process said.</param>
/// <param name="Console">What the outer machine's kernel said.</param>
/// <param name="Errors">What QEMU said of itself, and of resets.</param>
/// <param name="ExitCode">QEMU's; 128 and the signal's number if one ended it.</param>
/// <param name="End">Who ended it.</param>
public sealed record OuterRun(string Log, string Console, string Errors, int ExitCode, OuterEnd End)
{
    /// <summary>It came to its end; what the guests said is for the tests to judge.</summary>
    public bool IsDone => Log.Contains("HOST done\n", StringComparison.Ordinal);

    /// <summary>The first thing that speaks against the devices or the monitor; null when there is none.</summary>
    public string? Finding => LinesBesides(LostLives).FirstOrDefault(SpeaksAgainstUs)
        ?? Console.Split('\n').FirstOrDefault(static line => line.Contains("Out of memory", StringComparison.Ordinal))
        ?? (End == OuterEnd.Late ? "The outer machine was alive, and did not come to its end." : null);

    /// <summary>
    /// The lives that ended because the emulated processor made a mistake: it interrupted a guest that had interrupts off, or gave it back another GS, and the
    /// guest's kernel ran through the stack that it enters on. No device can do that: its interrupts go through the processor, and that stack is not its to write.
    /// </summary>
    public IReadOnlyList<string> LostLives => [.. Log.Split('\n')
        .Where(line => line.StartsWith("LIFE ", StringComparison.Ordinal) && line.EndsWith(" exit=0", StringComparison.Ordinal))
        .Select(line => line.Split(' ')[1])
        .Where(life => LinesOf(life) is var lines
            && lines.Any(line => line.Contains("BUG: ENTRY_TRAMPOLINE stack guard page was hit", StringComparison.Ordinal))
            && !lines.Any(line => line.StartsWith("BAD ", StringComparison.Ordinal)))];

    /// <summary>Why lives of this start say nothing about the devices; null when all came to their ends, or there is a finding.</summary>
    public string? LostBecause
    {
        get
        {
            if (Finding is not null)
            {
                return null;
            }

            if (IsDone)
            {
                return LostLives is [] ? null : $"The emulated processor failed the kernel of {string.Join(", ", LostLives)}.";
            }

            if (End == OuterEnd.Silent)
            {
                return "The outer machine stood still.";
            }

            var panic = Console.Split('\n').FirstOrDefault(static line => line.Contains("Kernel panic", StringComparison.Ordinal));
            return ExitCode switch
            {
                > 128 => $"QEMU was ended by signal {ExitCode - 128}.",
                not 0 => $"QEMU ended with exit code {ExitCode}.",
                _ when panic is not null => $"The outer machine's kernel gave up: {panic}",
                _ when Errors.Contains("Triple fault", StringComparison.Ordinal) => "The outer machine reset itself after a triple fault.",
                _ => "The outer machine reset itself.",
            };
        }
    }

    /// <summary>Whether a life ended before the outer machine did.</summary>
    public bool HasEnded(string life) => Log.Split('\n').Any(line => line.StartsWith($"LIFE {life} END ", StringComparison.Ordinal) && line.Contains(" exit=", StringComparison.Ordinal));

    /// <summary>What was said in a life that has ended.</summary>
    public string[] LinesOf(string life)
    {
        var start = Log.IndexOf($"LIFE {life} BEGIN", StringComparison.Ordinal);
        var end = Log.IndexOf('\n', Log.IndexOf($"LIFE {life} END ", start, StringComparison.Ordinal));
        return Log[start..end].Split('\n');
    }

    /// <summary>The last that everybody said.</summary>
    public string Tail() => $"guests:\n{Last(Log, 4000)}\nouter kernel:\n{Last(Console, 2000)}\nQEMU, exit code {ExitCode}:\n{Last(Errors, 1000)}";

    private IEnumerable<string> LinesBesides(IReadOnlyList<string> lives)
    {
        var skipped = false;
        foreach (var line in Log.Split('\n'))
        {
            skipped |= lives.Any(life => line.StartsWith($"LIFE {life} BEGIN", StringComparison.Ordinal));
            if (!skipped)
            {
                yield return line;
            }

            skipped &= !lives.Any(life => line.StartsWith($"LIFE {life} END ", StringComparison.Ordinal));
        }
    }

    private static string Last(string text, int length) => text[Math.Max(0, text.Length - length)..];

    private static bool SpeaksAgainstUs(string line) => line.StartsWith("BAD ", StringComparison.Ordinal)
        || (line.StartsWith("LIFE ", StringComparison.Ordinal) && line.Contains(" END ", StringComparison.Ordinal) && !line.EndsWith(" exit=0", StringComparison.Ordinal))
        || line.StartsWith("Unhandled exception", StringComparison.Ordinal)
        || line.StartsWith("Fatal error", StringComparison.Ordinal)
        || line.StartsWith("HOST has no", StringComparison.Ordinal)
        || line.StartsWith("guest: The bus failed", StringComparison.Ordinal)
        || line.StartsWith("guest: The guest has lost", StringComparison.Ordinal)
        || line.Contains("Kernel panic", StringComparison.Ordinal); // the guest's: the outer kernel has a console of its own
}
