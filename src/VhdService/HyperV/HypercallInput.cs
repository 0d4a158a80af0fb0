namespace VhdService.HyperV;

/// <summary>RCX of a hypercall (TLFS, "Hypercall Inputs").</summary>
internal readonly record struct HypercallInput(ulong Raw)
{
    public ushort CallCode => (ushort)Raw;

    public bool IsFast => (Raw & 1UL << 16) != 0;

    /// <summary>A call of the simple kind: no variable header, not nested, no repetitions, nothing reserved.</summary>
    public bool IsSimple => (Raw & ~0x1_FFFFUL) == 0;
}
