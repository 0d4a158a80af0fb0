namespace VhdCore.Operations;

/// <summary>Adds up what several workers have done. Reports one at a time, in rising order.</summary>
internal sealed class ProgressMeter(IProgress<OperationProgress>? progress, string phase, long total)
{
    private readonly Lock _lock = new();
    private long _done;

    public void Add(long bytes)
    {
        if (progress is null)
        {
            return;
        }

        lock (_lock)
        {
            _done += bytes;
            progress.Report(new OperationProgress(phase, _done, total));
        }
    }
}
