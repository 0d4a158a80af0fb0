namespace VhdService.HyperV;

/// <summary>
/// A guest's side of the hypercall interface: what CPUID says, the synthetic model-specific registers, and hypercalls (Microsoft's Hypervisor Top Level
/// Functional Specification, TLFS). It knows no hypervisor: whoever runs the processors calls it, and it calls <see cref="IGuestMemory"/> and
/// <see cref="IInterruptSink"/>.
/// </summary>
/// <remarks>
/// A hypervisor answers CPUID with <see cref="CpuidLeaves"/>, hands every access to the registers 0x40000000 to 0x400001FF to <see cref="TryReadMsr"/> and
/// <see cref="TryWriteMsr"/>, and every exit of the hypercall page's code to <see cref="Hypercall"/>. Any thread; nothing blocks for long, and nothing
/// that a guest does makes it throw.
/// </remarks>
public sealed class HypervPartition : IDisposable
{
    private const long RetryMilliseconds = 10; // a guest that frees a slot without an end of message waits no longer
    private const ulong EnableBit = 1;
    private const ulong LockedBit = 2;
    private const ulong PageMask = ~0xFFFUL;

    private readonly IGuestMemory _memory;
    private readonly HypervPartitionOptions _options;
    private readonly SynicProcessor[] _processors;
    private readonly ulong[] _assistPages;
    private readonly HypercallDispatcher _hypercalls;
    private readonly ITimer _retryTimer;
    private readonly long _startTime;
    private readonly Lock _lock = new();
    private volatile IHypercallPorts? _ports;
    private ulong _guestOsId;
    private ulong _hypercall;
    private ulong _referenceTsc;
    private ulong _tscInvariantControl;
    private int _retryIsArmed;
    private long _hypercallCount;

    /// <summary>Makes a partition. Nothing in guest memory is touched before the guest asks for it.</summary>
    public HypervPartition(IGuestMemory memory, IInterruptSink interrupts, HypervPartitionOptions options)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(interrupts);
        ArgumentNullException.ThrowIfNull(options);
        _memory = memory;
        _options = options;
        Log = new GuestLog(options.Log);
        _processors = new SynicProcessor[options.ProcessorCount];
        for (var index = 0; index < _processors.Length; index++)
        {
            _processors[index] = new SynicProcessor(index, memory, interrupts, Log);
        }

        _assistPages = new ulong[options.ProcessorCount];
        _hypercalls = new HypercallDispatcher(memory, () => _ports);
        CpuidLeaves = HypervisorLeaves.For(options);
        _startTime = options.TimeProvider.GetTimestamp();
        _retryTimer = options.TimeProvider.CreateTimer(static partition => ((HypervPartition)partition!).RetryMessages(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>What CPUID answers from 0x40000000 on; every other leaf from 0x40000000 to 0x4FFFFFFF is left out of what the guest sees. Leaf 1 must say that there is a hypervisor (ECX bit 31).</summary>
    public IReadOnlyList<CpuidLeaf> CpuidLeaves { get; }

    /// <summary>Virtual processors.</summary>
    public int ProcessorCount => _processors.Length;

    /// <summary>Hypercalls executed so far.</summary>
    public long HypercallCount => Volatile.Read(ref _hypercallCount);

    /// <summary>Interrupts raised so far, on all processors.</summary>
    public long InterruptCount => _processors.Sum(processor => processor.InterruptCount);

    internal IGuestMemory Memory => _memory;

    internal GuestLog Log { get; }

    internal TimeProvider TimeProvider => _options.TimeProvider;

    /// <summary>The guest reads a register (RDMSR).</summary>
    /// <param name="processor">The reading processor's index.</param>
    /// <param name="register">ECX.</param>
    /// <param name="value">EDX:EAX.</param>
    /// <returns>False: inject a general protection fault.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such processor.</exception>
    public bool TryReadMsr(int processor, uint register, out ulong value)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)processor, (uint)_processors.Length, nameof(processor));
        lock (_lock)
        {
            switch (register)
            {
                case SyntheticMsr.GuestOsId:
                    value = _guestOsId;
                    return true;

                case SyntheticMsr.Hypercall:
                    value = _hypercall;
                    return true;

                case SyntheticMsr.VpIndex:
                    value = (ulong)processor;
                    return true;

                case SyntheticMsr.TimeRefCount:
                    value = (ulong)(_options.TimeProvider.GetElapsedTime(_startTime).Ticks); // 100 ns, as TLFS counts
                    return true;

                case SyntheticMsr.ReferenceTsc:
                    value = _referenceTsc;
                    return true;

                case SyntheticMsr.TscFrequency:
                    value = _options.TscFrequency;
                    return true;

                case SyntheticMsr.ApicFrequency:
                    value = _options.ApicFrequency;
                    return true;

                case SyntheticMsr.VpAssistPage:
                    value = _assistPages[processor];
                    return true;

                case SyntheticMsr.TscInvariantControl:
                    value = _tscInvariantControl;
                    return true;
            }
        }

        return _processors[processor].TryRead(register, out value);
    }

    /// <summary>The guest writes a register (WRMSR).</summary>
    /// <param name="processor">The writing processor's index.</param>
    /// <param name="register">ECX.</param>
    /// <param name="value">EDX:EAX.</param>
    /// <returns>False: inject a general protection fault.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such processor.</exception>
    public bool TryWriteMsr(int processor, uint register, ulong value)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)processor, (uint)_processors.Length, nameof(processor));
        lock (_lock)
        {
            switch (register)
            {
                case SyntheticMsr.GuestOsId:
                    _guestOsId = value;
                    if (value == 0)
                    {
                        _hypercall &= ~EnableBit;
                    }

                    return true;

                case SyntheticMsr.Hypercall:
                    return TryWriteHypercall(value);

                case SyntheticMsr.ReferenceTsc: // not advertised, but crash kernels clear it unasked
                    _referenceTsc = value;
                    return true;

                case SyntheticMsr.VpAssistPage: // Linux always gives one; nothing is ever written to it
                    _assistPages[processor] = value;
                    return true;

                case SyntheticMsr.TscInvariantControl:
                    if (value > 1)
                    {
                        return false;
                    }

                    _tscInvariantControl = value;
                    return true;
            }
        }

        if (!_processors[processor].TryWrite(register, value, out var hasSpaceAgain))
        {
            return false;
        }

        AfterDelivery(hasSpaceAgain);
        return true;
    }

    /// <summary>The guest calls through the hypercall page.</summary>
    /// <param name="control">RCX.</param>
    /// <param name="input">RDX.</param>
    /// <param name="output">R8.</param>
    /// <returns>What goes into RAX. No other register changes.</returns>
    public ulong Hypercall(ulong control, ulong input, ulong output)
    {
        _ = output; // neither of the two calls has one
        Interlocked.Increment(ref _hypercallCount);
        return (Volatile.Read(ref _hypercall) & EnableBit) == 0
            ? (ulong)HypercallStatus.InvalidHypercallCode // the page is not there: code that calls it anyway has no interface
            : _hypercalls.Execute(control, input);
    }

    /// <summary>Stops retrying. Processors must have stopped, and buses been disposed of.</summary>
    public void Dispose() => _retryTimer.Dispose();

    /// <summary>Says who listens behind connection ids.</summary>
    /// <exception cref="InvalidOperationException">Somebody does already.</exception>
    internal void Connect(IHypercallPorts ports)
    {
        if (Interlocked.CompareExchange(ref _ports, ports, null) is not null)
        {
            throw new InvalidOperationException("The partition has a bus already.");
        }
    }

    /// <summary>Nobody listens any more.</summary>
    internal void Disconnect() => _ports = null;

    /// <summary>Queues a message to the guest; see <see cref="SynicProcessor.TryPost"/>.</summary>
    internal bool TryPostMessage(int processor, int sint, uint messageType, ReadOnlySpan<byte> payload)
    {
        if (!_processors[processor].TryPost(sint, messageType, payload))
        {
            return false;
        }

        AfterDelivery(hasSpaceAgain: false);
        return true;
    }

    /// <summary>Sets an event flag; see <see cref="SynicProcessor.SignalFlag"/>.</summary>
    internal bool SignalFlag(int processor, int sint, int flag) => _processors[processor].SignalFlag(sint, flag);

    /// <summary>Forgets the messages to the guest that wait, on every processor.</summary>
    internal void ClearMessages(int sint)
    {
        foreach (var processor in _processors)
        {
            processor.ClearMessages(sint);
        }
    }

    private bool TryWriteHypercall(ulong value)
    {
        if ((_hypercall & LockedBit) != 0)
        {
            return false;
        }

        if (_guestOsId == 0)
        {
            value &= ~EnableBit; // an unnamed guest gets no page
        }

        if ((value & EnableBit) != 0 && !TryFillPage(value & PageMask))
        {
            return false;
        }

        Volatile.Write(ref _hypercall, value);
        return true;
    }

    private bool TryFillPage(ulong address)
    {
        Span<byte> page = stackalloc byte[GuestMemoryExtensions.PageSize];
        page.Fill(0xCC); // int3: whoever jumps past the code stops
        _options.HypercallCode.Span.CopyTo(page);
        return _memory.TryWrite(address, page);
    }

    private void RetryMessages()
    {
        Volatile.Write(ref _retryIsArmed, 0);
        var hasSpaceAgain = false;
        foreach (var processor in _processors)
        {
            processor.Retry(out var hasSpace);
            hasSpaceAgain |= hasSpace;
        }

        AfterDelivery(hasSpaceAgain);
    }

    private void AfterDelivery(bool hasSpaceAgain)
    {
        if (hasSpaceAgain)
        {
            _ports?.MessageQueueHasSpace();
        }

        if (Array.Exists(_processors, processor => processor.HasWaiting) && Interlocked.Exchange(ref _retryIsArmed, 1) == 0)
        {
            _retryTimer.Change(TimeSpan.FromMilliseconds(RetryMilliseconds), Timeout.InfiniteTimeSpan);
        }
    }
}
