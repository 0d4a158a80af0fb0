using System.Diagnostics;
using VhdService.Scsi.Wire;

namespace VhdService.Scsi;

/// <summary>Counts what a disk does; any thread.</summary>
internal sealed class ScsiDiskCounters
{
    private long _reads;
    private long _writes;
    private long _flushes;
    private long _trims;
    private long _others;
    private long _errors;
    private long _inFlight;
    private long _bytesRead;
    private long _bytesWritten;
    private long _ticks;
    private long _maxTicks;

    /// <summary>A command has come.</summary>
    public void Begin(ScsiRequest request)
    {
        request.StartedAt = Stopwatch.GetTimestamp();
        Interlocked.Increment(ref _inFlight);
    }

    /// <summary>It has ended.</summary>
    public void End(ScsiRequest request, in ScsiResult result)
    {
        var ticks = Stopwatch.GetTimestamp() - request.StartedAt;
        Interlocked.Add(ref _ticks, ticks);
        for (var max = Volatile.Read(ref _maxTicks); ticks > max;)
        {
            max = Interlocked.CompareExchange(ref _maxTicks, ticks, max) is var seen && seen == max ? ticks : seen;
        }

        if (result.Outcome != ScsiOutcome.Completed || result.Status != ScsiStatus.Good)
        {
            Interlocked.Increment(ref _errors);
        }

        switch (request.Cdb.Opcode)
        {
            case ScsiOpcode.Read6 or ScsiOpcode.Read10 or ScsiOpcode.Read12 or ScsiOpcode.Read16:
                Interlocked.Increment(ref _reads);
                Interlocked.Add(ref _bytesRead, result.Transferred);
                break;

            case ScsiOpcode.Write6 or ScsiOpcode.Write10 or ScsiOpcode.Write12 or ScsiOpcode.Write16:
                Interlocked.Increment(ref _writes);
                Interlocked.Add(ref _bytesWritten, result.Transferred);
                break;

            case ScsiOpcode.SynchronizeCache10 or ScsiOpcode.SynchronizeCache16:
                Interlocked.Increment(ref _flushes);
                break;

            case ScsiOpcode.Unmap or ScsiOpcode.WriteSame10 or ScsiOpcode.WriteSame16:
                Interlocked.Increment(ref _trims);
                break;

            default:
                Interlocked.Increment(ref _others);
                break;
        }

        Interlocked.Decrement(ref _inFlight);
    }

    /// <summary>The numbers now.</summary>
    public ScsiDiskStatistics Snapshot()
    {
        var reads = Interlocked.Read(ref _reads);
        var writes = Interlocked.Read(ref _writes);
        var flushes = Interlocked.Read(ref _flushes);
        var trims = Interlocked.Read(ref _trims);
        var others = Interlocked.Read(ref _others);
        var count = reads + writes + flushes + trims + others;
        return new ScsiDiskStatistics
        {
            ReadCount = reads,
            WriteCount = writes,
            FlushCount = flushes,
            TrimCount = trims,
            OtherCount = others,
            ErrorCount = Interlocked.Read(ref _errors),
            InFlight = Interlocked.Read(ref _inFlight),
            BytesRead = Interlocked.Read(ref _bytesRead),
            BytesWritten = Interlocked.Read(ref _bytesWritten),
            MeanLatency = count == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _ticks) / count),
            MaxLatency = Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _maxTicks)),
        };
    }
}
