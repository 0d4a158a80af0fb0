using VhdService.HyperV;

namespace VhdService.Vmbus;

/// <summary>What a device sees of a channel while it is open.</summary>
internal sealed class OpenChannel(VmbusServer bus, VmbusChannel channel, IncomingRing incoming, OutgoingRing outgoing)
{
    private long _signalCount;

    /// <summary>The ring from the guest.</summary>
    public IncomingRing Incoming { get; } = incoming;

    /// <summary>The ring to the guest.</summary>
    public OutgoingRing Outgoing { get; } = outgoing;

    /// <summary>0 for a device's first channel.</summary>
    public int SubChannelIndex => channel.SubChannelIndex;

    /// <summary>Guest memory.</summary>
    public IGuestMemory Memory => bus.Memory;

    /// <summary>The clock.</summary>
    public TimeProvider TimeProvider => bus.TimeProvider;

    /// <summary>Tells the host what the guest did wrong.</summary>
    public GuestLog Log => bus.Log;

    /// <summary>How often the guest was signalled.</summary>
    public long SignalCount => Volatile.Read(ref _signalCount);

    /// <summary>Interrupts the guest on this channel.</summary>
    public void Signal()
    {
        Volatile.Write(ref _signalCount, _signalCount + 1);
        bus.Signal(channel);
    }

    /// <summary>Offers the guest more channels of the same device.</summary>
    public void OfferSubChannels(int count) => bus.OfferSubChannels(channel, count);

    public override string ToString() => channel.ToString();
}
