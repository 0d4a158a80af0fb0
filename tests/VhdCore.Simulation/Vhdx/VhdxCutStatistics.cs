namespace VhdCore.Simulation.Vhdx;

/// <summary>What was going on when the power was cut.</summary>
internal enum VhdxCutPhase
{
    /// <summary>The image was being opened for writing, with no log to replay.</summary>
    Open,

    /// <summary>The image was being opened for writing, and its log replayed.</summary>
    Replay,

    /// <summary>The image was being opened for writing, and a header or a copy of the region table mended, with or without a log to replay.</summary>
    Repair,

    /// <summary>A header was being updated.</summary>
    Header,

    /// <summary>Guest bytes were on their way.</summary>
    Payload,

    /// <summary>An entry was being written into the log, or made durable there.</summary>
    LogRound,

    /// <summary>Pages were being put in their places.</summary>
    Apply,

    /// <summary>An entry that takes blocks out of use was being written, or freed space zeroed for its next use.</summary>
    TrimAndReuse,

    /// <summary>The file's length was being changed.</summary>
    Length,

    /// <summary>The image was being closed.</summary>
    Close,
}

/// <summary>How often the power was cut in each phase. Any thread.</summary>
internal sealed class VhdxCutStatistics
{
    private readonly long[] _cuts = new long[Enum.GetValues<VhdxCutPhase>().Length];
    private long _runs;
    private long _reopened;
    private long _replayedAgain;
    private long _kills;
    private long _failures;

    public long Total => _cuts.Sum();

    public long Reopened => _reopened;

    public long ReplayedAgain => _replayedAgain;

    public long Kills => _kills;

    public long Failures => _failures;

    public long this[VhdxCutPhase phase] => _cuts[(int)phase];

    public void Count(VhdxCutPhase phase) => Interlocked.Increment(ref _cuts[(int)phase]);

    public void CountRun() => Interlocked.Increment(ref _runs);

    public void CountReopened() => Interlocked.Increment(ref _reopened);

    /// <summary>What a cut in a replay has left is replayed.</summary>
    public void CountReplayedAgain() => Interlocked.Increment(ref _replayedAgain);

    /// <summary>A flush has failed.</summary>
    public void CountFailure() => Interlocked.Increment(ref _failures);

    public void CountKill() => Interlocked.Increment(ref _kills);

    public override string ToString() =>
        $"{Total} cuts in {_runs} runs ({string.Join(", ", Enum.GetValues<VhdxCutPhase>().Select(phase => $"{phase} {this[phase]}"))}), " +
        $"{_reopened} run on after a cut, {_replayedAgain} of them after one in a replay, {_kills} processes killed, {_failures} flushes failed";
}
