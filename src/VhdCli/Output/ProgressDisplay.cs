using System.Globalization;
using System.Text.Json;
using VhdCore.Operations;

namespace VhdCli.Output;

/// <summary>Shows how far an operation is: here, not at all. Reports come from any thread, one at a time.</summary>
internal class ProgressDisplay : IProgress<OperationProgress>, IDisposable
{
    public virtual void Report(OperationProgress value)
    {
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }

    protected static bool IsComplete(in OperationProgress progress) => progress.BytesTotal > 0 && progress.BytesDone >= progress.BytesTotal;
}

/// <summary>qemu-img's percentage, over itself.</summary>
internal sealed class PercentProgress(CliSession session) : ProgressDisplay
{
    private long _shown = -1; // hundredths of a percent
    private string? _phase;

    public override void Report(OperationProgress value)
    {
        var hundredths = value.BytesTotal == 0 ? 0 : (long)((Int128)value.BytesDone * 10000 / value.BytesTotal);
        if (hundredths == _shown && value.Phase == _phase)
        {
            return;
        }

        _shown = hundredths;
        _phase = value.Phase;
        session.Error.Write(string.Create(CultureInfo.InvariantCulture, $"    ({hundredths / 100}.{hundredths % 100:00}/100%)\r"));
        session.Error.Flush();
    }

    protected override void Dispose(bool disposing)
    {
        session.Error.WriteLine();
        base.Dispose(disposing);
    }
}

/// <summary>A JSON object a line, about five a second, and one at the end of each phase.</summary>
internal sealed class NdjsonProgress(CliSession session) : ProgressDisplay
{
    private const long Interval = 200; // milliseconds

    private long _next;

    public override void Report(OperationProgress value)
    {
        var now = Environment.TickCount64;
        if (now < _next && !IsComplete(value))
        {
            return;
        }

        _next = now + Interval;
        session.WriteError(
            $"{{\"phase\":\"{JsonEncodedText.Encode(value.Phase)}\",\"bytesDone\":{value.BytesDone},\"bytesTotal\":{value.BytesTotal}}}");
    }
}
