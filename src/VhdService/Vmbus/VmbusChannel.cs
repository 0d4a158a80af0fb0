namespace VhdService.Vmbus;

/// <summary>A channel as the bus keeps it. Changed by the bus's worker alone, but for what says otherwise.</summary>
internal sealed class VmbusChannel(IVmbusDevice device, uint relid, int subChannelIndex)
{
    private volatile ChannelWorker? _worker;
    private volatile int _targetProcessor;

    public IVmbusDevice Device { get; } = device;

    /// <summary>The bus's number of this channel, and the guest's event flag.</summary>
    public uint Relid { get; } = relid;

    /// <summary>0 for a device's first channel.</summary>
    public int SubChannelIndex { get; } = subChannelIndex;

    /// <summary>The guest knows of the channel.</summary>
    public bool IsOffered { get; set; }

    /// <summary>The offer was taken back; the channel goes when the guest releases its relid.</summary>
    public bool IsRescinded { get; set; }

    /// <summary>The guest has released the relid of a rescinded channel whose worker has still to stop.</summary>
    public bool IsReleased { get; set; }

    /// <summary>The worker has been told to stop.</summary>
    public bool IsStopping { get; set; }

    /// <summary>The list that the rings are in, while the channel is open.</summary>
    public Gpadl? RingGpadl { get; set; }

    /// <summary>An OpenChannel that came while the worker was stopping; handled when it has.</summary>
    public byte[]? DeferredOpen { get; set; }

    /// <summary>Who serves the channel; null unless it is open. Read on any thread.</summary>
    public ChannelWorker? Worker
    {
        get => _worker;
        set => _worker = value;
    }

    /// <summary>The processor that is interrupted. Read on any thread.</summary>
    public int TargetProcessor
    {
        get => _targetProcessor;
        set => _targetProcessor = value;
    }

    /// <summary>The guest can use the channel.</summary>
    public bool IsUsable => IsOffered && !IsRescinded;

    public override string ToString() => SubChannelIndex == 0 ? $"channel {Relid}" : $"channel {Relid} (sub-channel {SubChannelIndex})";
}
