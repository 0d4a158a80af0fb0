namespace VhdService.HyperV;

/// <summary>What a guest did wrong, told to the host so seldom that a guest cannot fill its log.</summary>
internal sealed class GuestLog(Action<string>? sink)
{
    private const int MaxLines = 256;

    private int _lines;

    public void Write(string sentence)
    {
        if (sink is null || Volatile.Read(ref _lines) == int.MaxValue)
        {
            return;
        }

        var line = Interlocked.Increment(ref _lines);
        if (line > MaxLines)
        {
            return;
        }

        sink(sentence);
        if (line == MaxLines)
        {
            sink("The guest goes on like this; no more of it is told.");
        }
    }
}
