namespace VhdService.Vmbus;

/// <summary>What one guest may make the bus hold.</summary>
internal static class VmbusLimits
{
    /// <summary>Messages of the guest that wait; the next is refused, and the guest tries again.</summary>
    public const int QueuedMessages = 16;

    /// <summary>Relids are below this: each is a bit among the event flags of a SINT.</summary>
    public const int Relids = HyperV.SynicProcessor.FlagsPerSint;

    /// <summary>Guest physical address descriptor lists, complete or not.</summary>
    public const int Gpadls = 1024;

    /// <summary>Words of 8 bytes in one list: range headers and page numbers.</summary>
    public const int WordsPerGpadl = 8192;

    /// <summary>Words over all lists.</summary>
    public const int GpadlWords = 1 << 17;

    /// <summary>Ranges in one list.</summary>
    public const int RangesPerGpadl = 16;

    /// <summary>Bytes of one packet on a ring.</summary>
    public const int PacketBytes = 64 << 10;
}
