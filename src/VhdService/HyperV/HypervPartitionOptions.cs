namespace VhdService.HyperV;

/// <summary>What a hypervisor says about a partition when it makes it.</summary>
public sealed record HypervPartitionOptions
{
    /// <summary>The most virtual processors that a partition may have.</summary>
    public const int MaxProcessors = 256;

    /// <summary>Bytes of a page; the longest <see cref="HypercallCode"/>.</summary>
    private const int MaxHypercallCode = GuestMemoryExtensions.PageSize;

    /// <summary>Virtual processors, 1 to <see cref="MaxProcessors"/>. A processor's index is also its APIC id.</summary>
    public int ProcessorCount
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MaxProcessors);
            field = value;
        }
    } = 1;

    /// <summary>Hertz of the guest's time stamp counter. The guest trusts it and does not measure.</summary>
    public required ulong TscFrequency { get; init; }

    /// <summary>Hertz of the local APIC's timer. KVM's bus cycle is a nanosecond.</summary>
    public ulong ApicFrequency { get; init; } = 1_000_000_000;

    /// <summary>
    /// The code at the start of the hypercall page: it leaves the guest so that the hypervisor calls <see cref="HypervPartition.Hypercall"/>, and returns with the
    /// result in RAX. At most 4096 bytes. See <see cref="HypercallPage"/>.
    /// </summary>
    public required ReadOnlyMemory<byte> HypercallCode
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value.Length, MaxHypercallCode, nameof(value));
            field = value;
        }
    }

    /// <summary>EBX of CPUID leaf 0x40000003. 0 is what is tried most; TLFS has bits 4 and 5 (0x30) for posting messages and signalling events.</summary>
    public uint PrivilegesHigh { get; init; }

    /// <summary>The clock of the reference counter and of retries.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Told, in a sentence, what a guest did that breaks a protocol. At most a few hundred times in a partition's life; any thread.</summary>
    public Action<string>? Log { get; init; }
}
