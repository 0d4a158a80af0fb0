using System.Runtime.InteropServices;

namespace MiniHypervisor.Kvm;

/// <summary>What a processor does that the kernel leaves to us. Called on the processor's thread; nothing may throw.</summary>
internal interface IExitHandler
{
    /// <summary>OUT.</summary>
    void WritePort(VirtualProcessor processor, ushort port, ReadOnlySpan<byte> data);

    /// <summary>IN.</summary>
    void ReadPort(VirtualProcessor processor, ushort port, Span<byte> data);

    /// <summary>RDMSR of a synthetic or unknown register; false raises #GP.</summary>
    bool TryReadMsr(VirtualProcessor processor, uint index, out ulong value);

    /// <summary>WRMSR of a synthetic or unknown register; false raises #GP.</summary>
    bool TryWriteMsr(VirtualProcessor processor, uint index, ulong value);
}

/// <summary>A processor, and the loop that runs it. One thread calls <see cref="Run"/>; the registers are that thread's.</summary>
internal sealed unsafe class VirtualProcessor : IDisposable
{
    private readonly int _descriptor;
    private readonly nuint _runSize;
    private readonly KvmRun* _run;
    private volatile bool _isStopped;

    internal VirtualProcessor(int index, int descriptor, nuint runSize)
    {
        Index = index;
        _descriptor = descriptor;
        _runSize = runSize;
        _run = (KvmRun*)KvmCalls.Map(descriptor, runSize);
        _run->ValidRegisters = 1; // the general ones come with every exit, without another call
    }

    /// <summary>From 0; also the APIC identifier.</summary>
    public int Index { get; }

    /// <summary>The general registers. During an exit, writing them needs <see cref="WriteRegisters"/>.</summary>
    public ref KvmRegisters Registers => ref _run->Registers;

    /// <summary>Cycles of the guest's time stamp counter, in kilohertz.</summary>
    public long TscKilohertz => KvmCalls.Call(_descriptor, KvmCalls.GetTscKhz, null, "the frequency of the TSC");

    /// <summary>Takes <see cref="Registers"/> over at the next entry.</summary>
    public void WriteRegisters() => _run->DirtyRegisters = 1;

    /// <summary>Ends <see cref="Run"/> at the next exit.</summary>
    public void Stop() => _isStopped = true;

    /// <summary>Sets what CPUID tells the guest; before the first <see cref="Run"/>.</summary>
    public void SetCpuid(ReadOnlySpan<KvmCpuidEntry> entries)
    {
        var buffer = new byte[8 + (entries.Length * sizeof(KvmCpuidEntry))];
        fixed (byte* start = buffer)
        {
            *(uint*)start = (uint)entries.Length;
            entries.CopyTo(new Span<KvmCpuidEntry>(start + 8, entries.Length));
            KvmCalls.Call(_descriptor, KvmCalls.SetCpuid, start, "the CPUID leaves");
        }
    }

    /// <summary>Starts in 64-bit mode with a flat address space.</summary>
    /// <param name="entry">The first instruction.</param>
    /// <param name="argument">For RSI.</param>
    /// <param name="stack">For RSP.</param>
    /// <param name="pageTable">The top page table, for CR3.</param>
    /// <param name="descriptors">A descriptor table with 64-bit code at 10h and data at 18h.</param>
    public void StartInLongMode(ulong entry, ulong argument, ulong stack, ulong pageTable, ulong descriptors)
    {
        KvmSpecialRegisters special;
        KvmCalls.Call(_descriptor, KvmCalls.GetSpecialRegisters, &special, "reading special registers");
        special.Cr0 = 0x8000_0011; // PG, ET, PE
        special.Cr3 = pageTable;
        special.Cr4 = 0x20; // PAE
        special.Efer = 0x500; // LME, LMA
        special.Gdt = new KvmDescriptorTable { Base = descriptors, Limit = 31 };
        special.Cs = new KvmSegment { Limit = uint.MaxValue, Selector = 0x10, Type = 11, Present = 1, S = 1, L = 1, G = 1 };
        var data = new KvmSegment { Limit = uint.MaxValue, Selector = 0x18, Type = 3, Present = 1, S = 1, Db = 1, G = 1 };
        special.Ds = special.Es = special.Fs = special.Gs = special.Ss = data;
        KvmCalls.Call(_descriptor, KvmCalls.SetSpecialRegisters, &special, "writing special registers");

        var registers = new KvmRegisters { Rip = entry, Rsi = argument, Rsp = stack, Rflags = 2 };
        KvmCalls.Call(_descriptor, KvmCalls.SetRegisters, &registers, "writing registers");
    }

    /// <summary>Runs the guest until it shuts down or <see cref="Stop"/> is called.</summary>
    /// <returns>Null for an orderly end, or what went wrong.</returns>
    public string? Run(IExitHandler handler)
    {
        while (!_isStopped)
        {
            var result = KvmCalls.TryCall(_descriptor, KvmCalls.Run, null);
            if (result < 0)
            {
                var error = Marshal.GetLastPInvokeError();
                if (error is KvmCalls.Interrupted or KvmCalls.TryAgain) // a signal; an INIT to a processor that has not started
                {
                    continue;
                }

                return $"processor {Index}: KVM_RUN failed with errno {error}.";
            }

            switch (_run->ExitReason)
            {
                case KvmExitReason.Io:
                    HandleIo(handler);
                    break;

                case KvmExitReason.Mmio:
                    if (_run->MmioIsWrite == 0)
                    {
                        _run->MmioData = ulong.MaxValue; // nothing is there
                    }

                    break;

                case KvmExitReason.ReadMsr:
                    _run->MsrError = handler.TryReadMsr(this, _run->MsrIndex, out var value) ? (byte)0 : (byte)1;
                    _run->MsrData = value;
                    break;

                case KvmExitReason.WriteMsr:
                    _run->MsrError = handler.TryWriteMsr(this, _run->MsrIndex, _run->MsrData) ? (byte)0 : (byte)1;
                    break;

                case KvmExitReason.Shutdown or KvmExitReason.SystemEvent: // a triple fault is how Linux reboots with reboot=t
                    return null;

                case KvmExitReason.Interrupted or KvmExitReason.IrqWindowOpen or KvmExitReason.Hlt:
                    break;

                default:
                    return $"processor {Index}: KVM gave up ({_run->ExitReason}, {_run->HardwareReason:X}) at {Registers.Rip:X}.";
            }
        }

        return null;
    }

    public void Dispose()
    {
        _ = KvmCalls.Unmap((nint)_run, _runSize);
        _ = KvmCalls.Close(_descriptor);
    }

    private void HandleIo(IExitHandler handler)
    {
        var port = _run->IoPort;
        var size = _run->IoSize;
        var data = (byte*)_run + _run->IoDataOffset;
        for (uint i = 0; i < _run->IoCount; i++, data += size) // REP INS and OUTS have more than one
        {
            if (_run->IoDirection == 1)
            {
                handler.WritePort(this, port, new ReadOnlySpan<byte>(data, size));
            }
            else
            {
                handler.ReadPort(this, port, new Span<byte>(data, size));
            }
        }
    }
}
