namespace VhdCore.Simulation;

/// <summary>What was going on when the power was cut.</summary>
internal enum CutPhase
{
    /// <summary>The image was being created.</summary>
    Create,

    /// <summary>The image was being opened for writing, its footers mended where need be.</summary>
    Open,

    /// <summary>Guest bytes were on their way.</summary>
    Payload,

    /// <summary>The footer leapt outwards, new slots got their bitmaps.</summary>
    Reserve,

    /// <summary>Space that was freed was made ready to be used again.</summary>
    Reuse,

    /// <summary>The flush before the tables.</summary>
    Barrier,

    /// <summary>The tables were being written.</summary>
    Tables,

    /// <summary>The flush behind the tables, or behind payload alone.</summary>
    Commit,

    /// <summary>The image was being closed.</summary>
    Close,
}

/// <summary>How often the power was cut in each phase. Any thread.</summary>
internal sealed class CutStatistics
{
    private readonly long[] _cuts = new long[Enum.GetValues<CutPhase>().Length];
    private long _reopened;
    private long _runs;
    private long _kills;
    private long _exhausted;

    public long Total => _cuts.Sum();

    public long Reopened => _reopened;

    /// <summary>Steps of which every state was judged.</summary>
    public long Exhausted => _exhausted;

    public long this[CutPhase phase] => _cuts[(int)phase];

    public void Count(CutPhase phase) => Interlocked.Increment(ref _cuts[(int)phase]);

    public void CountReopened() => Interlocked.Increment(ref _reopened);

    public void CountRun() => Interlocked.Increment(ref _runs);

    public void CountKill() => Interlocked.Increment(ref _kills);

    public void CountExhausted() => Interlocked.Increment(ref _exhausted);

    public override string ToString() =>
        $"{Total} cuts in {_runs} runs ({string.Join(", ", Enum.GetValues<CutPhase>().Select(phase => $"{phase} {this[phase]}"))}), " +
        $"{_reopened} run on after a cut, {_kills} processes killed, {_exhausted} steps judged in every state";
}
