namespace VhdService.Testing;

/// <summary>A channel that the guest has open: two rings in pages that lie anywhere.</summary>
internal sealed class GuestChannel
{
    public const int DefaultRingPages = 32; // each ring, as Linux has it

    private readonly GuestBus _bus;
    private readonly ulong[] _pages;

    private GuestChannel(GuestBus bus, ChannelOffer offer, ulong[] pages, uint gpadl, int outgoingPages, int processor)
    {
        _bus = bus;
        Offer = offer;
        _pages = pages;
        Gpadl = gpadl;
        Processor = processor;
        Outgoing = new GuestRing(bus.Ram, pages.AsSpan(0, outgoingPages)) { FeatureBits = 1 };
        Incoming = new GuestRing(bus.Ram, pages.AsSpan(outgoingPages));
    }

    public GuestBus Bus => _bus;

    /// <summary>The rings', in order.</summary>
    public IReadOnlyList<ulong> Pages => _pages;

    public ChannelOffer Offer { get; }

    public uint Gpadl { get; }

    public int Processor { get; set; }

    public GuestRing Outgoing { get; }

    public GuestRing Incoming { get; }

    /// <summary>How often the host was signalled.</summary>
    public long SignalCount { get; private set; }

    public static GuestChannel Open(GuestBus bus, ChannelOffer offer, int outgoingPages = DefaultRingPages, int incomingPages = DefaultRingPages, int processor = 0)
    {
        var pages = bus.Ram.Allocate(outgoingPages + incomingPages);
        var gpadl = bus.CreateGpadl(offer.Relid, pages);
        var channel = new GuestChannel(bus, offer, pages, gpadl, outgoingPages, processor);
        var status = bus.Open(offer.Relid, gpadl, (uint)outgoingPages, processor);
        return status == 0 ? channel : throw new InvalidOperationException($"OpenResult 0x{status:X}");
    }

    /// <summary>Writes a packet and signals if that is due; false when the ring is full.</summary>
    public bool TrySend(ReadOnlySpan<byte> packet)
    {
        if (!Outgoing.TryWrite(packet, out var signal))
        {
            return false;
        }

        if (signal)
        {
            Signal();
        }

        return true;
    }

    /// <summary>Signals the host, due or not.</summary>
    public ulong Signal()
    {
        SignalCount++;
        return _bus.Processors.SignalEvent(Offer.ConnectionId);
    }

    /// <summary>Reads a packet that is there.</summary>
    public byte[]? TryReceive()
    {
        _bus.Processors.TakeEvent(Processor, Offer.Relid);
        var packet = Incoming.TryRead(out var signal);
        if (signal)
        {
            Signal();
        }

        return packet;
    }

    /// <summary>As Linux does when its driver goes: close, then have the pages back.</summary>
    public void Close()
    {
        _bus.Close(Offer.Relid);
        _bus.TearDownGpadl(Offer.Relid, Gpadl);
        FreePages();
    }

    public void FreePages() => _bus.Ram.Free(_pages);
}
