namespace VhdService.HyperV;

/// <summary>RCX of a hypercall (TLFS, "Hypercall Inputs").</summary>
internal readonly record struct HypercallInput(ulong Raw)
{
    // Bits 27-30, 44-47 and 60-63.
    private const ulong Reserved = 0xFUL << 27 | 0xFUL << 44 | 0xFUL << 60;

    public ushort CallCode => (ushort)Raw;

    public bool IsFast => (Raw & 1UL << 16) != 0;

    /// <summary>A call of the simple kind: no variable header, not nested, no repetitions, nothing reserved.</summary>
    public bool IsSimple => (Raw & ~0x1_FFFFUL) == 0;

    public bool HasReservedBits => (Raw & Reserved) != 0;
}
