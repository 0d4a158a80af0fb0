using VhdCore.Formats;

namespace VhdCore.Operations;

/// <summary>How bad a finding is.</summary>
public enum CheckSeverity
{
    /// <summary>Worth knowing; nothing is wrong.</summary>
    Note,

    /// <summary>Odd, or unsafe with some reader; the content is not in doubt.</summary>
    Warning,

    /// <summary>Space in the file that nothing uses. No content is in doubt.</summary>
    Leak,

    /// <summary>The image contradicts its format: content may be wrong, or some reader will refuse it.</summary>
    Corruption,
}

/// <summary>One thing that a check found.</summary>
/// <param name="Id">Stable and listed in docs/check-findings.md, such as <c>VHD-BAT-OVERLAP</c>.</param>
/// <param name="Severity">How bad it is.</param>
/// <param name="Structure">The structure concerned, in the specification's words.</param>
/// <param name="FileOffset">Bytes from the file's start, where there is a place.</param>
/// <param name="Message">What was found and what it means.</param>
/// <param name="IsRepairable">Whether a repair can mend it without guessing.</param>
public sealed record CheckFinding(string Id, CheckSeverity Severity, string Structure, long? FileOffset, string Message, bool IsRepairable);

/// <summary>What a check of one image found.</summary>
public sealed record CheckReport
{
    /// <summary>The image.</summary>
    public required string Path { get; init; }

    /// <summary>Its format.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>Everything found, in the order of file offsets; empty for a sound image.</summary>
    public required IReadOnlyList<CheckFinding> Findings { get; init; }

    /// <summary>Blocks the disk has; 0 for a format without blocks.</summary>
    public long TotalBlocks { get; init; }

    /// <summary>Blocks that take space in the file.</summary>
    public long AllocatedBlocks { get; init; }

    /// <summary>Where the last structure in use ends, in bytes.</summary>
    public long ImageEndOffset { get; init; }
}
