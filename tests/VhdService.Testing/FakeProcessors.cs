using System.Buffers.Binary;
using VhdService.HyperV;

namespace VhdService.Testing;

/// <summary>
/// A guest's processors as far as the hypercall interface sees them: registers, calls, the message and event pages. Written from the specification, it shares
/// nothing with the host but memory.
/// </summary>
internal sealed class FakeProcessors : IInterruptSink, IDisposable
{
    public const byte Vector = 0xF3;
    private const int Sint = 2;

    private readonly GuestRam _ram;
    private readonly IWorld _world;
    private readonly HypervPartition _partition;
    private readonly ulong[] _messagePages;
    private readonly ulong[] _eventPages;
    private readonly ulong _hypercallInput;
    private readonly ulong _hypercallPage;
    private readonly int[] _interrupts;

    public FakeProcessors(GuestRam ram, IWorld world, int count, uint privilegesHigh = 0, Action<string>? log = null)
    {
        _ram = ram;
        _world = world;
        Count = count;
        _messagePages = ram.Allocate(count);
        _eventPages = ram.Allocate(count);
        _hypercallInput = ram.Allocate() * GuestRam.PageSize;
        _hypercallPage = ram.Allocate();
        _interrupts = new int[count];
        _partition = new HypervPartition(ram.Memory, this, new HypervPartitionOptions
        {
            ProcessorCount = count,
            TscFrequency = 2_500_000_000,
            HypercallCode = HypercallPage.PortOut(0xEE),
            PrivilegesHigh = privilegesHigh,
            TimeProvider = world.Time,
            Log = log,
        });
    }

    public HypervPartition Partition => _partition;

    public void Dispose() => _partition.Dispose();

    public int Count { get; }

    /// <summary>The guest writes SINTs as it likes.</summary>
    public bool SetsOtherVectors { get; set; }

    /// <summary>Page numbers of the message pages.</summary>
    public IReadOnlyList<ulong> MessagePages => _messagePages;

    /// <summary>What the guest does at an interrupt before the host does anything else.</summary>
    public Action? OnInterrupt { get; set; }

    /// <summary>Interrupts so far, by processor.</summary>
    public int Interrupts(int processor) => Volatile.Read(ref _interrupts[processor]);

    public void Raise(int processor, byte vector)
    {
        if (vector < 16 || (vector != Vector && !SetsOtherVectors))
        {
            throw new InvalidOperationException($"An interrupt came on vector 0x{vector:X}.");
        }

        Interlocked.Increment(ref _interrupts[processor]);
        OnInterrupt?.Invoke();
        _world.OnInterrupt();
    }

    /// <summary>What Linux does at boot and when its bus driver loads, in the order of the traces.</summary>
    public void Boot()
    {
        WriteMsr(0, 0x40000118, 1);
        for (var processor = 0; processor < Count; processor++)
        {
            if (ReadMsr(processor, 0x40000002) != (ulong)processor)
            {
                throw new InvalidOperationException("A processor does not know its index.");
            }

            WriteMsr(processor, 0x40000073, 1 | (_ram.Allocate() * GuestRam.PageSize));
        }

        EnableHypercalls();
        for (var processor = 0; processor < Count; processor++)
        {
            EnableSynic(processor);
        }
    }

    public void EnableHypercalls()
    {
        WriteMsr(0, 0x40000000, 0x8100_0006_0C75_0000);
        WriteMsr(0, 0x40000001, 1 | (_hypercallPage * GuestRam.PageSize));
    }

    public void EnableSynic(int processor)
    {
        _ram.Page(_messagePages[processor]).Clear();
        _ram.Page(_eventPages[processor]).Clear();
        WriteMsr(processor, 0x40000083, 1 | (_messagePages[processor] * GuestRam.PageSize));
        WriteMsr(processor, 0x40000082, 1 | (_eventPages[processor] * GuestRam.PageSize));
        WriteMsr(processor, 0x40000090 + Sint, Vector);
        WriteMsr(processor, 0x40000080, 1);
    }

    public ulong ReadMsr(int processor, uint register) =>
        _partition.TryReadMsr(processor, register, out var value) ? value : throw new InvalidOperationException($"#GP reading 0x{register:X}");

    public void WriteMsr(int processor, uint register, ulong value)
    {
        if (!_partition.TryWriteMsr(processor, register, value))
        {
            throw new InvalidOperationException($"#GP writing 0x{value:X} to 0x{register:X}");
        }
    }

    /// <summary>HvPostMessage; one thread at a time.</summary>
    public ulong PostMessage(uint connection, ReadOnlySpan<byte> payload, uint type = 1)
    {
        var input = _ram.At(_hypercallInput, 256);
        input.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(input, connection);
        BinaryPrimitives.WriteUInt32LittleEndian(input[8..], type);
        BinaryPrimitives.WriteInt32LittleEndian(input[12..], payload.Length);
        payload.CopyTo(input[16..]);
        return _partition.Hypercall(0x5C, _hypercallInput, 0);
    }

    /// <summary>HvSignalEvent, the fast form.</summary>
    public ulong SignalEvent(uint connection) => _partition.Hypercall(0x1005D, connection, 0);

    /// <summary>Takes the message in the slot, as an interrupt handler would: copy, free the slot, look whether to ask for more.</summary>
    public byte[]? TryTakeMessage(int processor)
    {
        var message = PeekMessage(processor);
        if (message is not null)
        {
            FreeSlot(processor);
            EndMessageIfPending(processor);
        }

        return message;
    }

    /// <summary>The message in the slot, or null; the slot stays taken.</summary>
    public byte[]? PeekMessage(int processor)
    {
        var slot = Slot(processor);
        if (Volatile.Read(ref _ram.U32(slot)) == 0)
        {
            return null;
        }

        var size = _ram.At(slot + 4, 1)[0];
        return _ram.At(slot + 16, size).ToArray();
    }

    public void FreeSlot(int processor) => Interlocked.Exchange(ref _ram.U32(Slot(processor)), 0);

    public bool IsMorePending(int processor) => (Volatile.Read(ref _ram.U32(Slot(processor) + 4)) & 0x100) != 0;

    public void EndMessageIfPending(int processor)
    {
        Interlocked.MemoryBarrier();
        if (IsMorePending(processor))
        {
            WriteMsr(processor, 0x40000084, 0);
        }
    }

    /// <summary>Takes an event flag.</summary>
    public bool TakeEvent(int processor, uint relid)
    {
        ref var word = ref _ram.U32((_eventPages[processor] * GuestRam.PageSize) + (Sint * 256) + (relid / 32 * 4));
        var bit = 1u << (int)(relid % 32);
        return Volatile.Read(ref word) != 0 && (Interlocked.And(ref word, ~bit) & bit) != 0;
    }

    private ulong Slot(int processor) => (_messagePages[processor] * GuestRam.PageSize) + (Sint * 256);
}
