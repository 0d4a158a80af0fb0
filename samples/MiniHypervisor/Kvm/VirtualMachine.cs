namespace MiniHypervisor.Kvm;

/// <summary>A KVM machine: memory, interrupt controllers in the kernel, and synthetic MSRs that come to us.</summary>
internal sealed unsafe class VirtualMachine : IDisposable
{
    private const uint SyntheticMsrs = 0x4000_0000;
    private const int SyntheticMsrCount = 512;
    private const uint ReadAndWrite = 3;
    private const ulong AllMsrReasons = 7; // invalid, unknown, filtered

    private readonly int _kvm;
    private readonly int _machine;
    private readonly List<VirtualProcessor> _processors = [];

    /// <summary>Makes a machine without processors.</summary>
    /// <exception cref="InvalidOperationException">There is no KVM, or it lacks what is needed.</exception>
    public VirtualMachine(GuestMemory memory)
    {
        _kvm = KvmCalls.OpenDevice("/dev/kvm");
        if (_kvm < 0)
        {
            throw new InvalidOperationException("/dev/kvm cannot be opened: this machine has no KVM, or you are not in the group that may use it.");
        }

        if (KvmCalls.TryCall(_kvm, KvmCalls.GetApiVersion, null) != 12 || !Has(KvmCalls.UserSpaceMsr) || !Has(KvmCalls.MsrFilter))
        {
            throw new InvalidOperationException("This KVM cannot hand MSRs to user space. Linux 5.10 and later can.");
        }

        _machine = KvmCalls.Call(_kvm, KvmCalls.CreateVm, null, "a machine");

        // Places below 4 GiB that Intel's processors need for running real mode.
        KvmCalls.Call(_machine, KvmCalls.SetTssAddress, 0xFFFB_D000, "the address of the TSS");
        ulong identityMap = 0xFFFB_C000;
        KvmCalls.Call(_machine, KvmCalls.SetIdentityMapAddress, &identityMap, "the address of the identity map");
        KvmCalls.Call(_machine, KvmCalls.CreateIrqChip, null, "interrupt controllers");

        var region = new KvmMemoryRegion { Size = (ulong)memory.Length, HostAddress = memory.Address };
        KvmCalls.Call(_machine, KvmCalls.SetUserMemoryRegion, &region, "the memory");
        TakeSyntheticMsrs();
    }

    /// <summary>The processors made so far.</summary>
    public IReadOnlyList<VirtualProcessor> Processors => _processors;

    /// <summary>Adds a processor. Its index is its APIC identifier.</summary>
    public VirtualProcessor AddProcessor()
    {
        var index = _processors.Count;
        var descriptor = KvmCalls.Call(_machine, KvmCalls.CreateVcpu, index, $"processor {index}");
        var runSize = KvmCalls.Call(_kvm, KvmCalls.GetVcpuMmapSize, null, "the size of its shared page");
        var processor = new VirtualProcessor(index, descriptor, (nuint)runSize);
        _processors.Add(processor);
        return processor;
    }

    /// <summary>What this host's processors and KVM can give a guest, KVM's own leaves included.</summary>
    public List<KvmCpuidEntry> GetSupportedCpuid()
    {
        const int MaxEntries = 256;
        var buffer = new byte[8 + (MaxEntries * sizeof(KvmCpuidEntry))];
        fixed (byte* start = buffer)
        {
            *(uint*)start = MaxEntries;
            KvmCalls.Call(_kvm, KvmCalls.GetSupportedCpuid, start, "the list of CPUID leaves");
            return [.. new ReadOnlySpan<KvmCpuidEntry>(start + 8, (int)*(uint*)start)];
        }
    }

    /// <summary>Whether this KVM has a capability.</summary>
    public bool Has(int capability) => KvmCalls.TryCall(_kvm, KvmCalls.CheckExtension, (void*)capability) > 0;

    /// <summary>Sends a message-signalled interrupt: fixed delivery, edge, to one local APIC.</summary>
    public void SignalMsi(int apicId, byte vector)
    {
        var message = new KvmMsi { AddressLow = 0xFEE0_0000 | ((uint)apicId << 12), Data = vector };
        KvmCalls.TryCall(_machine, KvmCalls.SignalMsi, &message); // 0: the guest has switched its APIC off, and misses it
    }

    /// <summary>Sets an input of the interrupt controllers.</summary>
    public void SetIrqLine(uint irq, bool isHigh)
    {
        var level = new KvmIrqLevel { Irq = irq, Level = isHigh ? 1u : 0u };
        KvmCalls.TryCall(_machine, KvmCalls.IrqLine, &level);
    }

    public void Dispose()
    {
        foreach (var processor in _processors)
        {
            processor.Dispose();
        }

        _ = KvmCalls.Close(_machine);
        _ = KvmCalls.Close(_kvm);
    }

    // KVM has Hyper-V's registers in the kernel, if it was built so. A filter that denies them all is asked first, so every access to them exits, on every KVM.
    private void TakeSyntheticMsrs()
    {
        var capability = new KvmEnableCapability { Capability = KvmCalls.UserSpaceMsr, Argument = AllMsrReasons };
        KvmCalls.Call(_machine, KvmCalls.EnableCapability, &capability, "MSRs in user space");

        var denied = stackalloc byte[SyntheticMsrCount / 8];
        new Span<byte>(denied, SyntheticMsrCount / 8).Clear();
        var filter = new KvmMsrFilter
        {
            RangeFlags = ReadAndWrite,
            RangeCount = SyntheticMsrCount,
            RangeBase = SyntheticMsrs,
            RangeBitmap = (nint)denied,
        };
        KvmCalls.Call(_machine, KvmCalls.SetMsrFilter, &filter, "a filter of MSRs");
    }
}
