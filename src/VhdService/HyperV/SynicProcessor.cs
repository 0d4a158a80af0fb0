using System.Diagnostics;

namespace VhdService.HyperV;

/// <summary>
/// A virtual processor's synthetic interrupt controller: its registers, the slots of its message page, and its event flags (TLFS, "Virtual Interrupt Control").
/// </summary>
/// <remarks>
/// Any thread. One lock covers registers, queues and the writing of both pages, so nothing is written into a page after the guest's write that took it away.
/// </remarks>
internal sealed unsafe class SynicProcessor(int index, IGuestMemory memory, IInterruptSink interrupts, GuestLog log)
{
    public const int SintCount = 16;
    public const int FlagsPerSint = 2048; // bits

    private const int SlotSize = 256; // bytes, of a message slot and of a SINT's flags
    private const ulong EnableBit = 1;
    private const ulong PageMask = ~0xFFFUL;
    private const ulong SintReset = SintMasked;
    private const ulong SintMasked = 1UL << 16;
    private const ulong SintAutoEoi = 1UL << 17;
    private const ulong SintPolling = 1UL << 18;
    private const byte FirstVector = 16; // those below are the processor's exceptions
    private const int MessagePendingInFirstWord = 1 << 8; // bit 0 of the flags, which follow the byte of the payload's size

    private readonly Lock _lock = new();
    private readonly ulong[] _sints = [.. Enumerable.Repeat(SintReset, SintCount)];
    private readonly SynicMessageQueue?[] _queues = new SynicMessageQueue?[SintCount];
    private ulong _control;
    private ulong _siefp;
    private ulong _simp;
    private byte* _eventFlags; // null while disabled
    private byte* _messages;
    private bool _hasRefused;
    private long _interruptCount;

    /// <summary>Interrupts raised so far.</summary>
    public long InterruptCount => Volatile.Read(ref _interruptCount);

    /// <summary>Messages wait for a slot.</summary>
    public bool HasWaiting
    {
        get
        {
            lock (_lock)
            {
                return CountWaiting() > 0;
            }
        }
    }

    /// <summary>Reads one of the registers SCONTROL to SINT15.</summary>
    /// <returns>False when there is no such register.</returns>
    public bool TryRead(uint register, out ulong value)
    {
        lock (_lock)
        {
            (var isKnown, value) = register switch
            {
                SyntheticMsr.Scontrol => (true, _control),
                SyntheticMsr.Sversion => (true, 1UL),
                SyntheticMsr.Siefp => (true, _siefp),
                SyntheticMsr.Simp => (true, _simp),
                SyntheticMsr.Eom => (true, 0UL),
                >= SyntheticMsr.Sint0 and <= SyntheticMsr.Sint15 => (true, _sints[register - SyntheticMsr.Sint0]),
                _ => (false, 0UL),
            };
            return isKnown;
        }
    }

    /// <summary>Writes one of the registers SCONTROL to SINT15, and delivers what it makes deliverable.</summary>
    /// <returns>False when the write is a general protection fault: no such register, read-only, a page outside memory, or a vector below 16.</returns>
    public bool TryWrite(uint register, ulong value, out bool hasSpaceAgain)
    {
        lock (_lock)
        {
            hasSpaceAgain = false;
            switch (register)
            {
                case SyntheticMsr.Scontrol:
                    _control = value;
                    break;

                case SyntheticMsr.Siefp:
                    if (!TryMap(value, out _eventFlags, _eventFlags))
                    {
                        return false;
                    }

                    _siefp = value;
                    break;

                case SyntheticMsr.Simp:
                    if (!TryMap(value, out _messages, _messages))
                    {
                        return false;
                    }

                    _simp = value;
                    break;

                case SyntheticMsr.Eom:
                    break;

                case >= SyntheticMsr.Sint0 and <= SyntheticMsr.Sint15:
                    if ((value & SintMasked) == 0 && (byte)value < FirstVector)
                    {
                        return false;
                    }

                    if ((value & SintAutoEoi) != 0)
                    {
                        log.Write($"Processor {index} asks for AutoEOI on SINT {register - SyntheticMsr.Sint0}, which is deprecated here: its interrupts will stop after the first.");
                    }

                    _sints[register - SyntheticMsr.Sint0] = value;
                    break;

                default:
                    return false;
            }

            DeliverAll();
            hasSpaceAgain = TakeSpaceNotice();
            return true;
        }
    }

    /// <summary>Queues a message for a SINT's slot, and delivers it if the slot is free.</summary>
    /// <returns>False when the queue is full; <see cref="IHypercallPorts.MessageQueueHasSpace"/> tells when to try again.</returns>
    public bool TryPost(int sint, uint messageType, ReadOnlySpan<byte> payload)
    {
        Debug.Assert(messageType != 0 && payload.Length <= HypercallDispatcher.MaxPayload, "type 0 marks a free slot");
        lock (_lock)
        {
            var queue = _queues[sint] ??= new SynicMessageQueue();
            if (!queue.TryAdd(messageType, payload))
            {
                _hasRefused = true;
                return false;
            }

            Deliver(sint, queue);
            return true;
        }
    }

    /// <summary>Tries again to deliver what waits.</summary>
    public void Retry(out bool hasSpaceAgain)
    {
        lock (_lock)
        {
            DeliverAll();
            hasSpaceAgain = TakeSpaceNotice();
        }
    }

    /// <summary>Forgets the messages that wait for a SINT's slot.</summary>
    public void ClearMessages(int sint)
    {
        lock (_lock)
        {
            _queues[sint]?.Clear();
        }
    }

    /// <summary>Sets an event flag, and raises the SINT if the flag was clear.</summary>
    /// <returns>Whether an interrupt was raised.</returns>
    public bool SignalFlag(int sint, int flag)
    {
        Debug.Assert((uint)sint < SintCount && (uint)flag < FlagsPerSint, "flags are numbered by the bus");
        lock (_lock)
        {
            if ((_control & EnableBit) == 0 || _eventFlags is null)
            {
                return false;
            }

            // Safety: the page is guest memory for as long as it is enabled, and sint and flag lie inside it.
            var word = (int*)(_eventFlags + (sint * SlotSize)) + (flag / 32);
            var bit = 1 << (flag % 32);
            return (Interlocked.Or(ref *word, bit) & bit) == 0 && Raise(sint);
        }
    }

    private bool TryMap(ulong register, out byte* page, byte* before)
    {
        page = null;
        if ((register & EnableBit) == 0)
        {
            return true;
        }

        if (memory.TryGetAddress(register & PageMask, GuestMemoryExtensions.PageSize, out var address))
        {
            page = (byte*)address;
            return true;
        }

        page = before;
        return false;
    }

    private void DeliverAll()
    {
        for (var sint = 0; sint < SintCount; sint++)
        {
            if (_queues[sint] is { Count: > 0 } queue)
            {
                Deliver(sint, queue);
            }
        }
    }

    private void Deliver(int sint, SynicMessageQueue queue)
    {
        if ((_control & EnableBit) == 0 || _messages is null)
        {
            return;
        }

        // Safety: the page is guest memory for as long as it is enabled; the slot lies inside it, aligned.
        var slot = _messages + (sint * SlotSize);
        while (queue.Count > 0)
        {
            if (Volatile.Read(ref *(uint*)slot) != 0)
            {
                // The guest frees the slot first and looks at the flag then. Whoever sees the other's write acts on it: the guest by an
                // end of message, or this by finding the slot free after all. The locked operation is the fence between the two.
                Interlocked.Or(ref *(int*)(slot + 4), MessagePendingInFirstWord);
                if (Volatile.Read(ref *(uint*)slot) != 0)
                {
                    return;
                }
            }

            Write(slot, in queue.First, isMoreWaiting: queue.Count > 1);
            queue.RemoveFirst();
            Raise(sint);
        }
    }

    /// <summary>Fills a free slot; its type last, which hands it to the guest.</summary>
    private static void Write(byte* slot, in SynicMessage message, bool isMoreWaiting)
    {
        // Safety: a slot is 256 bytes: type, size and flags, sender, and 240 bytes of payload.
        Volatile.Write(ref *(int*)(slot + 4), message.PayloadSize | (isMoreWaiting ? MessagePendingInFirstWord : 0));
        *(ulong*)(slot + 8) = 0;
        var payload = (ReadOnlySpan<byte>)message.Payload;
        payload.CopyTo(new Span<byte>(slot + 16, HypercallDispatcher.MaxPayload));
        Volatile.Write(ref *(uint*)slot, message.Type);
    }

    private bool Raise(int sint)
    {
        var value = _sints[sint];
        if ((value & (SintMasked | SintPolling)) != 0)
        {
            return false;
        }

        Volatile.Write(ref _interruptCount, _interruptCount + 1);
        interrupts.Raise(index, (byte)value);
        return true;
    }

    private int CountWaiting()
    {
        var count = 0;
        foreach (var queue in _queues)
        {
            count += queue?.Count ?? 0;
        }

        return count;
    }

    private bool TakeSpaceNotice()
    {
        if (!_hasRefused || Array.Exists(_queues, queue => queue is { Count: SynicMessageQueue.Capacity }))
        {
            return false;
        }

        _hasRefused = false;
        return true;
    }
}
