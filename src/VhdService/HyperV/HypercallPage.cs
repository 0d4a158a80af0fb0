namespace VhdService.HyperV;

/// <summary>Code for the hypercall page.</summary>
public static class HypercallPage
{
    /// <summary>Leaves the guest by an OUT to <paramref name="port"/>, and returns: for hypervisors that see accesses to I/O ports.</summary>
    /// <remarks>
    /// The hypervisor reads RCX, RDX and R8, writes RAX, and leaves the other registers alone. It begins with ENDBR64, because kernels that find none turn
    /// indirect branch tracking off. A port that nothing else uses, such as 0xEE; Linux writes to 0x80 and 0xED to pass the time.
    /// </remarks>
    public static byte[] PortOut(byte port) => [0xF3, 0x0F, 0x1E, 0xFA, 0xE7, port, 0xC3]; // endbr64; out imm8, eax; ret
}
