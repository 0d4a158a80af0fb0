namespace VhdCore.Simulation;

/// <summary>What a run has done, for people: a line a step, indented by how many cuts it is behind.</summary>
internal sealed class ScriptTrace
{
    private readonly List<string> _lines;
    private readonly string _indent;

    public ScriptTrace()
        : this([], depth: 0)
    {
    }

    private ScriptTrace(List<string> lines, int depth)
    {
        _lines = lines;
        _indent = new string(' ', depth * 4);
        Depth = depth;
    }

    /// <summary>Cuts that the run is behind.</summary>
    public int Depth { get; }

    public void Add(string line) => _lines.Add(_indent + line);

    /// <summary>For what goes on behind a cut. When that has ended well, its lines are dropped again: only the way to a failure is kept.</summary>
    public void RunOn(Action<ScriptTrace> run)
    {
        var mark = _lines.Count;
        Add("-- cut --");
        run(new ScriptTrace(_lines, Depth + 1));
        _lines.RemoveRange(mark, _lines.Count - mark);
    }

    public override string ToString() => string.Join('\n', _lines);
}
