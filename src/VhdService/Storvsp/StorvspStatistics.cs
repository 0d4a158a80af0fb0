using VhdService.Scsi;

namespace VhdService.Storvsp;

/// <summary>What a controller has done so far. Read while it runs, so the numbers may be a request apart from each other.</summary>
public sealed record StorvspStatistics
{
    /// <summary>Its units.</summary>
    public required IReadOnlyList<StorvspUnitStatistics> Units { get; init; }

    /// <summary>Channels that are open now.</summary>
    public required int OpenChannels { get; init; }

    /// <summary>Packets answered, of every kind and on every channel.</summary>
    public required long CompletionCount { get; init; }

    /// <summary>Interrupts that told the guest of them.</summary>
    public required long SignalCount { get; init; }
}

/// <summary>What one unit has done.</summary>
/// <param name="Lun">Its number.</param>
/// <param name="Disk">Requests, bytes and latency.</param>
/// <param name="SignalsSaved">Answers that needed no interrupt of their own.</param>
public sealed record StorvspUnitStatistics(int Lun, ScsiDiskStatistics Disk, long SignalsSaved);
