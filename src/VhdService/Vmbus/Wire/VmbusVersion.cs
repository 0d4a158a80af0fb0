namespace VhdService.Vmbus.Wire;

/// <summary>A version of the control protocol: major in the upper half, minor in the lower.</summary>
internal readonly record struct VmbusVersion(uint Raw)
{
    public static readonly VmbusVersion V3_0 = new(0x0003_0000);
    public static readonly VmbusVersion V4_0 = new(0x0004_0000);
    public static readonly VmbusVersion V4_1 = new(0x0004_0001);
    public static readonly VmbusVersion V5_0 = new(0x0005_0000);
    public static readonly VmbusVersion V5_1 = new(0x0005_0001);
    public static readonly VmbusVersion V5_2 = new(0x0005_0002);
    public static readonly VmbusVersion V5_3 = new(0x0005_0003);

    /// <summary>What a guest may choose, lowest first. 2.4 shares its event page, and 6.0 begins to negotiate features: neither is offered.</summary>
    public static readonly IReadOnlyList<VmbusVersion> Supported = [V3_0, V4_0, V4_1, V5_0, V5_1, V5_2, V5_3];

    /// <summary>InitiateContact names a SINT, and the answer a connection id for the messages that follow.</summary>
    public bool HasMessageConnection => Raw >= V5_0.Raw;

    /// <summary>ModifyChannel is answered.</summary>
    public bool AnswersModifyChannel => Raw >= V5_3.Raw;

    public override string ToString() => $"{Raw >> 16}.{Raw & 0xFFFF}";
}
