using System.Runtime.InteropServices;

namespace MiniHypervisor.Kvm;

// The kernel's structures (linux/kvm.h, asm/kvm.h), as far as they are used.

/// <summary>struct kvm_userspace_memory_region.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmMemoryRegion
{
    public uint Slot;
    public uint Flags;
    public ulong GuestAddress;
    public ulong Size;
    public nint HostAddress;
}

/// <summary>struct kvm_enable_cap.</summary>
[StructLayout(LayoutKind.Sequential, Size = 104)]
internal struct KvmEnableCapability
{
    public uint Capability;
    public uint Flags;
    public ulong Argument;
}

/// <summary>struct kvm_msr_filter with one range.</summary>
[StructLayout(LayoutKind.Explicit, Size = 392)]
internal struct KvmMsrFilter
{
    /// <summary>0: what no range names is allowed.</summary>
    [FieldOffset(0)]
    public uint Flags;

    /// <summary>1: reads; 2: writes.</summary>
    [FieldOffset(8)]
    public uint RangeFlags;

    [FieldOffset(12)]
    public uint RangeCount;

    [FieldOffset(16)]
    public uint RangeBase;

    /// <summary>A bit for each register; a clear one is denied, and exits.</summary>
    [FieldOffset(24)]
    public nint RangeBitmap;
}

/// <summary>struct kvm_msi.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal struct KvmMsi
{
    public uint AddressLow;
    public uint AddressHigh;
    public uint Data;
}

/// <summary>struct kvm_irq_level.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmIrqLevel
{
    public uint Irq;
    public uint Level;
}

/// <summary>struct kvm_cpuid_entry2.</summary>
[StructLayout(LayoutKind.Sequential, Size = 40)]
internal struct KvmCpuidEntry
{
    public uint Function;
    public uint Index;
    public uint Flags;
    public uint Eax;
    public uint Ebx;
    public uint Ecx;
    public uint Edx;
}

/// <summary>struct kvm_regs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmRegisters
{
    public ulong Rax;
    public ulong Rbx;
    public ulong Rcx;
    public ulong Rdx;
    public ulong Rsi;
    public ulong Rdi;
    public ulong Rsp;
    public ulong Rbp;
    public ulong R8;
    public ulong R9;
    public ulong R10;
    public ulong R11;
    public ulong R12;
    public ulong R13;
    public ulong R14;
    public ulong R15;
    public ulong Rip;
    public ulong Rflags;
}

/// <summary>struct kvm_segment.</summary>
[StructLayout(LayoutKind.Sequential, Size = 24)]
internal struct KvmSegment
{
    public ulong Base;
    public uint Limit;
    public ushort Selector;
    public byte Type;
    public byte Present;
    public byte Dpl;
    public byte Db;
    public byte S;
    public byte L;
    public byte G;
    public byte Avl;
}

/// <summary>struct kvm_dtable.</summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
internal struct KvmDescriptorTable
{
    public ulong Base;
    public ushort Limit;
}

/// <summary>struct kvm_sregs.</summary>
[StructLayout(LayoutKind.Explicit, Size = 312)]
internal struct KvmSpecialRegisters
{
    [FieldOffset(0)]
    public KvmSegment Cs;

    [FieldOffset(24)]
    public KvmSegment Ds;

    [FieldOffset(48)]
    public KvmSegment Es;

    [FieldOffset(72)]
    public KvmSegment Fs;

    [FieldOffset(96)]
    public KvmSegment Gs;

    [FieldOffset(120)]
    public KvmSegment Ss;

    [FieldOffset(144)]
    public KvmSegment Tr;

    [FieldOffset(168)]
    public KvmSegment Ldt;

    [FieldOffset(192)]
    public KvmDescriptorTable Gdt;

    [FieldOffset(208)]
    public KvmDescriptorTable Idt;

    [FieldOffset(224)]
    public ulong Cr0;

    [FieldOffset(240)]
    public ulong Cr3;

    [FieldOffset(248)]
    public ulong Cr4;

    [FieldOffset(264)]
    public ulong Efer;

    [FieldOffset(272)]
    public ulong ApicBase;
}

/// <summary>struct kvm_run: why a processor stopped, shared with the kernel.</summary>
[StructLayout(LayoutKind.Explicit)]
internal struct KvmRun
{
    [FieldOffset(8)]
    public KvmExitReason ExitReason;

    /// <summary>0: the guest reads; 1: it writes.</summary>
    [FieldOffset(32)]
    public byte IoDirection;

    [FieldOffset(33)]
    public byte IoSize;

    [FieldOffset(34)]
    public ushort IoPort;

    [FieldOffset(36)]
    public uint IoCount;

    /// <summary>From the start of this structure.</summary>
    [FieldOffset(40)]
    public ulong IoDataOffset;

    [FieldOffset(32)]
    public ulong MmioAddress;

    [FieldOffset(40)]
    public ulong MmioData;

    [FieldOffset(48)]
    public uint MmioLength;

    [FieldOffset(52)]
    public byte MmioIsWrite;

    /// <summary>Set by us: the access raises #GP.</summary>
    [FieldOffset(32)]
    public byte MsrError;

    [FieldOffset(44)]
    public uint MsrIndex;

    [FieldOffset(48)]
    public ulong MsrData;

    [FieldOffset(32)]
    public uint InternalSuberror;

    [FieldOffset(32)]
    public ulong HardwareReason;

    [FieldOffset(288)]
    public ulong ValidRegisters;

    [FieldOffset(296)]
    public ulong DirtyRegisters;

    /// <summary>The registers at the exit, and with <see cref="DirtyRegisters"/> at the next entry.</summary>
    [FieldOffset(304)]
    public KvmRegisters Registers;
}

/// <summary>KVM_EXIT_*.</summary>
internal enum KvmExitReason : uint
{
    Io = 2,
    Hlt = 5,
    Mmio = 6,
    IrqWindowOpen = 7,
    Shutdown = 8,
    FailEntry = 9,
    Interrupted = 10,
    InternalError = 17,
    SystemEvent = 24,
    ReadMsr = 29,
    WriteMsr = 30,
}
