namespace VhdCore.Vhd;

/// <summary>The format's time: seconds since 2000-01-01 00:00 UTC, until 2136.</summary>
internal static class VhdTimestamp
{
    private const long EpochUnixSeconds = 946_684_800;

    /// <summary>The moment that <paramref name="timestamp"/> names.</summary>
    public static DateTimeOffset ToTime(uint timestamp) => DateTimeOffset.FromUnixTimeSeconds(EpochUnixSeconds + timestamp);

    /// <summary>The nearest timestamp: moments before 2000 become 0, those behind the field's end its last.</summary>
    public static uint From(DateTimeOffset time) => (uint)Math.Clamp(time.ToUnixTimeSeconds() - EpochUnixSeconds, 0, uint.MaxValue);
}
