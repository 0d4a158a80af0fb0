using MiniHypervisor.Kvm;
using VhdService.HyperV;

namespace MiniHypervisor;

/// <summary>What CPUID tells a guest: the host's processor without virtualisation, and the Hyper-V interface instead of KVM's.</summary>
internal static class CpuidTable
{
    private const uint HypervisorPresent = 1u << 31; // leaf 1, ECX
    private const uint TscDeadlineTimer = 1u << 24; // leaf 1, ECX
    private const uint Vmx = 1u << 5; // leaf 1, ECX
    private const uint Svm = 1u << 2; // leaf 80000001h, ECX
    private const uint InvariantTsc = 1u << 8; // leaf 80000007h, EDX

    /// <summary>The leaves of one processor.</summary>
    public static KvmCpuidEntry[] For(int processor, int processorCount, VirtualMachine machine, IReadOnlyList<CpuidLeaf> hypervisorLeaves)
    {
        var entries = machine.GetSupportedCpuid().Where(entry => entry.Function >> 28 != 4).ToArray(); // KVM's own leaves begin at 40000000h
        foreach (ref var entry in entries.AsSpan())
        {
            switch (entry.Function)
            {
                case 1:
                    entry.Ebx = (entry.Ebx & 0xFFFF) | ((uint)processorCount << 16) | ((uint)processor << 24);
                    entry.Ecx = (entry.Ecx | HypervisorPresent) & ~Vmx;
                    if (machine.Has(KvmCalls.TscDeadlineTimer))
                    {
                        entry.Ecx |= TscDeadlineTimer;
                    }

                    break;

                case 0xB or 0x1F:
                    entry.Edx = (uint)processor;
                    break;

                case 0x8000_0001:
                    entry.Ecx &= ~Svm;
                    break;

                case 0x8000_0007:
                    entry.Edx |= InvariantTsc;
                    break;
            }
        }

        return
        [
            .. entries,
            .. hypervisorLeaves.Select(leaf => new KvmCpuidEntry { Function = leaf.Function, Eax = leaf.Eax, Ebx = leaf.Ebx, Ecx = leaf.Ecx, Edx = leaf.Edx }),
        ];
    }
}
