using MiniHypervisor;
using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Guest.TinyGuest;

/// <summary>
/// A guest of a few hundred bytes of machine code: it finds the hypervisor by CPUID, sets its page and its SynIC up, connects to VMBus, opens the SCSI
/// controller's channel, writes a block and reads it back. The messages and packets are prepared by the test, from the published protocols and not from the
/// server's code; the guest fills in what it learns on the way.
/// </summary>
internal sealed class TinyGuestProgram(bool usesInterrupts)
{
    public const int Entry = 0x10000;
    public const int Stack = 0x1F000;
    public const byte SuccessPort = 0xF0;
    public const byte FailurePort = 0xF4;

    /// <summary>What the guest writes to the disk.</summary>
    public const int Source = 0x40000;

    /// <summary>What it reads back.</summary>
    public const int Destination = 0x41000;

    /// <summary>What it reads from the disk's start.</summary>
    public const int FirstBlock = 0x42000;

    /// <summary>Bytes of each transfer.</summary>
    public const int TransferLength = 4096;

    /// <summary>The block, of 512 bytes, that is written.</summary>
    public const int WrittenLba = 24;

    /// <summary>How many interrupts the guest took.</summary>
    public const int InterruptCount = 0x15000;

    private const int HypercallPage = 0x11000;
    private const int MessagePage = 0x12000;
    private const int FlagsPage = 0x13000;
    private const int Slot = MessagePage + (2 * 256); // SINT 2
    private const int Messages = 0x14000;
    private const int Idt = 0x16000;
    private const int IdtPointer = 0x17000;
    private const int ConnectionId = 0x15010;
    private const int Packets = 0x30000;

    // The ring buffer's pages, in no order: guest to host (control, data), host to guest (control, data).
    private const int OutControl = 0x20000;
    private const int OutData = 0x23000;
    private const int InControl = 0x22000;
    private const int InData = 0x21000;
    private const uint Gpadl = 0xE1E10;

    private readonly TinyAssembler _code = new();
    private int _step;

    /// <summary>Puts code and data into a guest's memory.</summary>
    public void Write(GuestMemory memory)
    {
        var contact = WriteMessage(memory, 0, connection: 4, 14, (8, 0x0005_0003), (16, 2)); // INITIATE_CONTACT: version 5.3, SINT 2
        var request = WriteMessage(memory, 1, 4, 3); // REQUEST_OFFERS
        var gpadl = WriteMessage(memory, 2, 4, 8, (12, Gpadl), (16, 0x0001_0028), (20, 4 * 4096), (24, 0), // one range, 40 bytes of ranges
            (28, OutControl >> 12), (32, 0), (36, OutData >> 12), (40, 0), (44, InControl >> 12), (48, 0), (52, InData >> 12), (56, 0));
        var open = WriteMessage(memory, 3, 4, 5, (12, 1), (16, Gpadl), (20, 0), (24, 2), (144, 0)); // OPEN_CHANNEL: the second ring begins at page 2

        Require(0x40000000, (1, 0x7263694D), (2, 0x666F736F), (3, 0x76482074)); // EBX, ECX, EDX: "Microsoft Hv" in that order
        Require(0x40000001, (0, 0x31237648)); // "Hv#1"
        if (usesInterrupts)
        {
            _code.Raw(0x0F, 0x01, 0x1C, 0x25).Raw(BitConverter.GetBytes(IdtPointer)); // lidt
            _code.Move(Register.Ecx, 0x1B).Raw(0x0F, 0x32, 0x0D, 0x00, 0x0C, 0x00, 0x00, 0x0F, 0x30); // IA32_APIC_BASE |= x2APIC
            _code.WriteMsr(0x80F, 0x1FF); // spurious vector, enabled
            _code.Raw(0xFB); // sti
        }

        _code.WriteMsr(0x40000000, 0x8100_0000);
        _code.WriteMsr(0x40000001, HypercallPage | 1);
        _code.WriteMsr(0x40000083, MessagePage | 1);
        _code.WriteMsr(0x40000082, FlagsPage | 1);
        _code.WriteMsr(0x40000092, usesInterrupts ? 0xF3u : 0x1_00F3); // masked when polling
        _code.WriteMsr(0x40000080, 1);

        Post(contact);
        Await(15); // VERSION_RESPONSE
        FailUnless(Slot + 16 + 8, 0x0000_0001, mask: 0xFF);
        Free();
        Post(request);
        Await(1); // OFFER_CHANNEL
        FailUnless(Slot + 16 + 8, 0xBA6163D9, mask: uint.MaxValue); // a SCSI controller
        _code.Load(Register.Eax, Slot + 16 + 184).Store(gpadl + 24, Register.Eax).Store(open + 24, Register.Eax); // its relid
        _code.Load(Register.Eax, Slot + 16 + 192).Store(ConnectionId, Register.Eax);
        Free();
        Await(4); // ALL_OFFERS_DELIVERED
        Free();
        Post(gpadl);
        Await(10); // GPADL_CREATED
        FailUnless(Slot + 16 + 16, 0, mask: uint.MaxValue);
        Free();
        Post(open);
        Await(6); // OPEN_RESULT
        FailUnless(Slot + 16 + 16, 0, mask: uint.MaxValue);
        Free();

        Transfer(memory);
        if (usesInterrupts)
        {
            _code.Load(Register.Eax, InterruptCount).Compare(Register.Eax, 0).Move(Register.Ebx, (uint)++_step).JumpIfEqual("fail");
        }

        _code.Out(SuccessPort, 1).Label("end").Jump("end");
        WriteRoutines();
        var code = _code.Build();
        code.CopyTo(memory.Span(Entry, code.Length));
        WriteInterruptTable(memory);
    }

    private void Transfer(GuestMemory memory)
    {
        var index = 0;
        Send(memory, ref index, Vstor(7)); // BEGIN_INITIALIZATION
        Send(memory, ref index, Vstor(9, (12, 0x0602))); // QUERY_PROTOCOL_VERSION
        Send(memory, ref index, Vstor(10)); // QUERY_PROPERTIES
        Send(memory, ref index, Vstor(8)); // END_INITIALIZATION
        Send(memory, ref index, Srb(0x2A, WrittenLba, 0, Source));
        Send(memory, ref index, Srb(0x28, WrittenLba, 1, Destination));
        Send(memory, ref index, Srb(0x28, 0, 1, FirstBlock));

        _code.Move(Register.Esi, Source).Move(Register.Edi, Destination).Move(Register.Ecx, TransferLength);
        _code.Raw(0xF3, 0xA6).Move(Register.Ebx, (uint)++_step).JumpIfNotEqual("fail"); // repe cmpsb
    }

    private void WriteRoutines()
    {
        // EDX: the message. Through the hypercall page, which the hypervisor has written.
        _code.Label("post").Move(Register.Ecx, 0x5C).Raw(0x45, 0x31, 0xC0); // xor r8d, r8d
        _code.Move(Register.Eax, HypercallPage).Raw(0xFF, 0xD0).Compare(Register.Eax, 0).JumpIfNotEqual("fail").Return();

        // Polls until there is a message in SINT 2's slot; EAX: its VMBus type.
        _code.Label("await").Load(Register.Eax, Slot).Compare(Register.Eax, 0).JumpIfEqual("await").Load(Register.Eax, Slot + 16).Return();

        // Gives the slot back, and says so if another message waits.
        _code.Label("free").Raw(0x31, 0xC0).Exchange(Slot, Register.Eax);
        _code.Load(Register.Eax, Slot + 4).Raw(0xF6, 0xC4, 0x01).JumpIfEqual("freed"); // test ah, 1: message pending
        _code.WriteMsr(0x40000084, 0).Label("freed").Return();

        // ESI: a packet, ECX: its bytes. Copies it into the ring, publishes it, signals, and waits for the completion.
        _code.Label("send").Move(Register.Edi, OutData).AddFrom(Register.Edi, OutControl).Raw(0x89, 0xCB); // mov ebx, ecx
        _code.Raw(0xF3, 0xA4).AddFrom(Register.Ebx, OutControl).Fence().Store(OutControl, Register.Ebx).Fence();
        _code.Move(Register.Ecx, 0x1005D).Load(Register.Edx, ConnectionId).Raw(0x45, 0x31, 0xC0);
        _code.Move(Register.Eax, HypercallPage).Raw(0xFF, 0xD0).Move(Register.Ebx, 1000).Compare(Register.Eax, 0).JumpIfNotEqual("fail");
        _code.Label("wait").Load(Register.Eax, InControl).CompareWith(Register.Eax, InControl + 4).JumpIfEqual("wait");
        _code.Load(Register.Edi, InControl + 4).Add(Register.Edi, InData);
        _code.Load(Register.Eax, InControl + 4).Add(Register.Eax, 88).Fence().Store(InControl + 4, Register.Eax).Return();

        _code.Label("fail").Raw(0x89, 0xD8, 0xE7, FailurePort).Label("stop").Jump("stop"); // mov eax, ebx; out

        _code.Label("interrupt").Raw(0x50, 0x51, 0x52); // push rax, rcx, rdx
        _code.Raw(0xF0, 0xFF, 0x04, 0x25).Raw(BitConverter.GetBytes(InterruptCount)); // lock inc
        _code.WriteMsr(0x80B, 0).Raw(0x5A, 0x59, 0x58, 0x48, 0xCF); // end of interrupt; pop, iretq
    }

    private void Require(uint leaf, params (int Register, uint Value)[] expected)
    {
        // CPUID answers EAX, EBX, ECX, EDX; numbered so here, and otherwise in instructions.
        _code.Move(Register.Eax, leaf).Raw(0x0F, 0xA2);
        foreach (var (register, value) in expected)
        {
            _code.Compare(register switch { 0 => Register.Eax, 1 => Register.Ebx, 2 => Register.Ecx, _ => Register.Edx }, value);
            Check();
        }
    }

    private void Post(int message) => _code.Move(Register.Ebx, (uint)++_step).Move(Register.Edx, (uint)message).Call("post");

    private void Await(uint type)
    {
        _code.Call("await").Compare(Register.Eax, type);
        Check();
    }

    private void Free() => _code.Call("free");

    private void FailUnless(int address, uint value, uint mask)
    {
        _code.Load(Register.Eax, address).Raw(0x25).Raw(BitConverter.GetBytes(mask)).Compare(Register.Eax, value); // and eax, mask
        Check();
    }

    // EBX is what a failure reports; MOV leaves the flags alone. EBX itself may have been compared just now.
    private void Check() => _code.Move(Register.Ebx, (uint)++_step).JumpIfNotEqual("fail");

    private void Send(GuestMemory memory, ref int index, byte[] packet)
    {
        WriteUInt64LittleEndian(packet.AsSpan(packet.Length - 8), (ulong)index << 32); // the trailer
        var at = Packets + index;
        packet.CopyTo(memory.Span(at, packet.Length));
        _code.Move(Register.Esi, (uint)at).Move(Register.Ecx, (uint)packet.Length).Call("send");
        _code.Raw(0x66, 0x83, 0x3F, 0x0B); // cmp word [rdi], 11: a completion
        Check();
        _code.Raw(0x83, 0x7F, 0x18, 0x00); // cmp dword [rdi + 24], 0: its status
        Check();
        if (packet[0] == 9)
        {
            _code.Raw(0x80, 0x7F, 0x1E, 0x01); // cmp byte [rdi + 30], 1: the request's status, success
            Check();
        }

        index += packet.Length;
    }

    // In-band: a descriptor of 16 bytes, 64 of vstor, and the trailer.
    private static byte[] Vstor(uint operation, params (int At, uint Value)[] fields)
    {
        var packet = new byte[16 + 64 + 8];
        WriteDescriptor(packet, 6, 16);
        WriteUInt32LittleEndian(packet.AsSpan(16), operation);
        WriteUInt32LittleEndian(packet.AsSpan(20), 1); // completion wanted
        foreach (var (at, value) in fields)
        {
            WriteUInt32LittleEndian(packet.AsSpan(16 + at), value);
        }

        return packet;
    }

    // GPA direct: the same behind one range of one page.
    private static byte[] Srb(byte opcode, uint lba, byte dataIn, int page)
    {
        var packet = new byte[40 + 64 + 8];
        WriteDescriptor(packet, 9, 40);
        WriteUInt32LittleEndian(packet.AsSpan(20), 1); // ranges
        WriteUInt32LittleEndian(packet.AsSpan(24), TransferLength);
        WriteUInt64LittleEndian(packet.AsSpan(32), (ulong)page >> 12);
        var vstor = packet.AsSpan(40);
        vstor[0] = 3; // EXECUTE_SRB
        vstor[4] = 1;
        vstor[12] = 52; // length
        vstor[20] = 10; // CDB
        vstor[21] = 20; // sense
        vstor[22] = dataIn;
        WriteInt32LittleEndian(vstor[24..], TransferLength);
        vstor[28] = opcode;
        WriteUInt32BigEndian(vstor[30..], lba);
        WriteUInt16BigEndian(vstor[35..], TransferLength / 512);
        return packet;
    }

    private static void WriteDescriptor(Span<byte> packet, ushort type, int dataOffset)
    {
        WriteUInt16LittleEndian(packet, type);
        WriteUInt16LittleEndian(packet[2..], (ushort)(dataOffset / 8));
        WriteUInt16LittleEndian(packet[4..], (ushort)((packet.Length - 8) / 8));
        packet[6] = 1; // completion requested
        WriteUInt64LittleEndian(packet[8..], 0x1234);
    }

    // HvPostMessage's input: connection, type 1, size, payload.
    private static int WriteMessage(GuestMemory memory, int number, uint connection, uint type, params (int At, uint Value)[] fields)
    {
        var at = Messages + (number * 256);
        var message = memory.Span(at, 256);
        var length = 8;
        WriteUInt32LittleEndian(message[16..], type);
        foreach (var (offset, value) in fields)
        {
            WriteUInt32LittleEndian(message[(16 + offset)..], value);
            length = Math.Max(length, offset + 4);
        }

        length = type == 14 ? 40 : length;
        WriteUInt32LittleEndian(message, connection);
        WriteUInt32LittleEndian(message[8..], 1);
        WriteInt32LittleEndian(message[12..], length);
        return at;
    }

    private void WriteInterruptTable(GuestMemory memory)
    {
        WriteUInt16LittleEndian(memory.Span(IdtPointer, 2), (256 * 16) - 1);
        WriteUInt64LittleEndian(memory.Span(IdtPointer + 2, 8), Idt);

        var handler = (uint)(Entry + _code.OffsetOf("interrupt"));
        var gate = memory.Span(Idt + (0xF3 * 16), 16);
        WriteUInt16LittleEndian(gate, (ushort)handler);
        gate[2] = 0x10; // code
        gate[5] = 0x8E; // present, interrupt gate
        WriteUInt16LittleEndian(gate[6..], (ushort)(handler >> 16));
    }
}
