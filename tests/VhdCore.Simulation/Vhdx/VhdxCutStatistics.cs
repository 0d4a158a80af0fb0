using VhdCore.Testing.Crash;

namespace VhdCore.Simulation.Vhdx;

/// <summary>What was going on when the power was cut.</summary>
internal enum VhdxCutPhase
{
    /// <summary>The image was being opened for writing, its log replayed where there was one.</summary>
    OpenAndReplay,

    /// <summary>A header was being written.</summary>
    Header,

    /// <summary>An entry was being written into the log.</summary>
    Log,

    /// <summary>Pages of the BAT were being put in their places.</summary>
    Apply,

    /// <summary>Guest bytes, or pages of a sector bitmap, were on their way.</summary>
    Payload,

    /// <summary>Freed space was being zeroed for its next use.</summary>
    Reuse,

    /// <summary>The file's length was being changed.</summary>
    Length,

    /// <summary>A flush.</summary>
    Flush,
}

/// <summary>How often the power was cut in each phase. Any thread.</summary>
internal sealed class VhdxCutStatistics
{
    private readonly long[] _cuts = new long[Enum.GetValues<VhdxCutPhase>().Length];
    private long _reopened;

    public long Total => _cuts.Sum();

    public long Reopened => _reopened;

    public long this[VhdxCutPhase phase] => _cuts[(int)phase];

    /// <summary>What a step is for, by where it is.</summary>
    public static VhdxCutPhase PhaseOf(CrashStep step) => step.Kind switch
    {
        CrashStepKind.FlushStarting or CrashStepKind.Flushed => VhdxCutPhase.Flush,
        CrashStepKind.Punch => VhdxCutPhase.Reuse,
        CrashStepKind.Write => step.Offset switch
        {
            < 1 << 20 => VhdxCutPhase.Header,
            < 2 << 20 => VhdxCutPhase.Log,
            < 4 << 20 => VhdxCutPhase.Apply,
            _ => VhdxCutPhase.Payload,
        },
        _ => VhdxCutPhase.Length,
    };

    public void Count(VhdxCutPhase phase) => Interlocked.Increment(ref _cuts[(int)phase]);

    public void CountReopened() => Interlocked.Increment(ref _reopened);

    public override string ToString() =>
        $"{Total} cuts ({string.Join(", ", Enum.GetValues<VhdxCutPhase>().Select(phase => $"{phase} {this[phase]}"))}), {_reopened} run on after a cut";
}
