namespace VhdService.HyperV;

/// <summary>The hypervisor's CPUID leaves, 0x40000000 to 0x40000006 (TLFS, "Feature and Interface Discovery").</summary>
/// <remarks>
/// What is advertised is what a Linux guest needs to run and to find its storage, and nothing that would make it ask for more: no timers, no reference TSC,
/// no TLB flushes. Frequency MSRs and invariant TSC spare the guest every calibration.
/// </remarks>
internal static class HypervisorLeaves
{
    // EAX of leaf 0x40000003: SynIC (2), hypercall MSRs (5), VP_INDEX (6), frequency MSRs (11), TSC invariant control (15).
    private const uint Privileges = 1u << 2 | 1u << 5 | 1u << 6 | 1u << 11 | 1u << 15;

    // EDX of leaf 0x40000003: frequency MSRs are available (8).
    private const uint Features = 1u << 8;

    // EAX of leaf 0x40000004: relaxed timing (5), AutoEOI is deprecated (9). Without the latter Linux asks for AutoEOI, which an interrupt that is injected as a message cannot give.
    private const uint Hints = 1u << 5 | 1u << 9;

    private const uint NeverNotifyOfSpinning = uint.MaxValue;
    private const uint Build = 20348;
    private const uint Version = 10u << 16; // major, minor

    public static CpuidLeaf[] For(HypervPartitionOptions options) =>
    [
        new(0x40000000, 0x40000006, 0x7263694D, 0x666F736F, 0x76482074), // "Microsoft Hv"
        new(0x40000001, 0x31237648, 0, 0, 0), // "Hv#1"
        new(0x40000002, Build, Version, 0, 0),
        new(0x40000003, Privileges, options.PrivilegesHigh, 0, Features),
        new(0x40000004, Hints, NeverNotifyOfSpinning, 0, 0),
        new(0x40000005, (uint)options.ProcessorCount, (uint)options.ProcessorCount, 0, 0),
        new(0x40000006, 0, 0, 0, 0),
    ];
}
