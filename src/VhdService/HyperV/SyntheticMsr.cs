namespace VhdService.HyperV;

/// <summary>Numbers of the synthetic model-specific registers (TLFS, "Synthetic MSRs").</summary>
internal static class SyntheticMsr
{
    public const uint GuestOsId = 0x40000000;
    public const uint Hypercall = 0x40000001;
    public const uint VpIndex = 0x40000002;
    public const uint TimeRefCount = 0x40000020;
    public const uint ReferenceTsc = 0x40000021;
    public const uint TscFrequency = 0x40000022;
    public const uint ApicFrequency = 0x40000023;
    public const uint VpAssistPage = 0x40000073;
    public const uint Scontrol = 0x40000080;
    public const uint Sversion = 0x40000081;
    public const uint Siefp = 0x40000082;
    public const uint Simp = 0x40000083;
    public const uint Eom = 0x40000084;
    public const uint Sint0 = 0x40000090;
    public const uint Sint15 = 0x4000009F;
    public const uint TscInvariantControl = 0x40000118;
}
