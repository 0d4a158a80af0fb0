namespace VhdCore.Layers;

/// <summary>The rules that a test build can switch off one at a time, to prove that the simulation notices. Always on in every other build.</summary>
internal enum SabotagePoint
{
    None,

    /// <summary>Commit without the flush between payload and the tables that reach it.</summary>
    PayloadBarrier,

    /// <summary>Commit without the flush after the tables.</summary>
    TableBarrier,

    /// <summary>Hand out reused space as it was left.</summary>
    ZeroReusedSpace,

    /// <summary>Reuse freed space although the tables that freed it are not durable.</summary>
    FreeAfterCommit,

    /// <summary>Reuse freed space although operations that resolved to it are in flight.</summary>
    Leases,

    /// <summary>Take a freshly formatted slot for durable before a flush.</summary>
    ReadyAfterFlush,

    /// <summary>Close without the flush before the file is cut off, or before its log is taken out of use.</summary>
    CloseBarrier,

    /// <summary>Open for writing without making durable first what was read.</summary>
    OpenBarrier,

    /// <summary>Write the live tables at commit rather than those from before the payload barrier.</summary>
    SnapshotBeforeBarrier,

    /// <summary>Change a file before the header and the log's first entry that announce it are durable.</summary>
    SessionBarrier,

    /// <summary>Take a replayed log out of use before what it said is durable in its places.</summary>
    ReplayBarrier,

    /// <summary>Update a header while the other may still be in flight.</summary>
    HeaderBarrier,

    /// <summary>Write pages in their places before the entry that has them is durable.</summary>
    LogBeforePages,

    /// <summary>Give the log the file's length as it is, rather than as it is durably.</summary>
    FlushedLength,

    /// <summary>Keep from the log how long the file must be for what its entries point at.</summary>
    LengthInLog,

    /// <summary>Make a block partially present with the bits of an earlier life.</summary>
    ClearedBits,

    /// <summary>Commit a sector's bit without a flush between its payload and the bit, as if the place behind it read as the parent.</summary>
    BitBarrier,

    /// <summary>Take a write for durable although what makes it reachable is not.</summary>
    CommitForFua,

    /// <summary>Go on after a failed flush as if it could be tried again.</summary>
    FaultStays,
}

/// <summary>Asks whether a rule is switched off. Constant false outside of test builds.</summary>
internal static class Sabotage
{
#if SABOTAGE
    /// <summary>The one rule that is off.</summary>
    public static volatile SabotagePoint Active;

    public static bool Is(SabotagePoint point) => Active == point;
#else
    public static bool Is(SabotagePoint point)
    {
        _ = point;
        return false;
    }
#endif
}
