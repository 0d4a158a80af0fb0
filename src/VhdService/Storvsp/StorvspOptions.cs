namespace VhdService.Storvsp;

/// <summary>How a controller shows itself.</summary>
public sealed record StorvspOptions
{
    /// <summary>Which controller this is: unique on its bus, and the same as long as the machine lives.</summary>
    public Guid InstanceId { get; init; } = Guid.NewGuid();

    /// <summary>Channels that a guest may open beside the first, one for each of its other processors; 0 to 63. Fewer if it has fewer processors.</summary>
    public int MaxSubChannels
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 63);
            field = value;
        }
    } = 63;
}
