namespace VhdService.Scsi;

/// <summary>What a disk has done for its guest so far. Read while it runs, so the numbers may be a request apart from each other.</summary>
public sealed record ScsiDiskStatistics
{
    /// <summary>READ commands that ended.</summary>
    public required long ReadCount { get; init; }

    /// <summary>WRITE commands that ended.</summary>
    public required long WriteCount { get; init; }

    /// <summary>SYNCHRONIZE CACHE commands that ended.</summary>
    public required long FlushCount { get; init; }

    /// <summary>UNMAP and WRITE SAME commands that ended.</summary>
    public required long TrimCount { get; init; }

    /// <summary>Commands of other kinds that ended.</summary>
    public required long OtherCount { get; init; }

    /// <summary>Commands that ended in CHECK CONDITION or with too little room, of every kind.</summary>
    public required long ErrorCount { get; init; }

    /// <summary>Commands under way.</summary>
    public required long InFlight { get; init; }

    /// <summary>Bytes that READ moved.</summary>
    public required long BytesRead { get; init; }

    /// <summary>Bytes that WRITE moved.</summary>
    public required long BytesWritten { get; init; }

    /// <summary>The mean time from a command's arrival to its end; zero before the first.</summary>
    public required TimeSpan MeanLatency { get; init; }

    /// <summary>The longest of them.</summary>
    public required TimeSpan MaxLatency { get; init; }
}
