using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Guest.TinyGuest;

/// <summary>A 32-bit register, by its number in instructions. Writing one clears the upper half.</summary>
internal enum Register
{
    Eax = 0,
    Ecx = 1,
    Edx = 2,
    Ebx = 3,
    Esi = 6,
    Edi = 7,
}

/// <summary>As much of an x86-64 assembler as a tiny guest needs: addresses are absolute and below 2 GiB, jumps go to labels.</summary>
internal sealed class TinyAssembler
{
    private readonly List<byte> _code = [];
    private readonly Dictionary<string, int> _labels = [];
    private readonly List<(int At, string Label)> _jumps = [];

    /// <summary>The code, with every jump resolved.</summary>
    public byte[] Build()
    {
        var code = _code.ToArray();
        foreach (var (at, label) in _jumps)
        {
            WriteInt32LittleEndian(code.AsSpan(at), _labels[label] - (at + 4));
        }

        return code;
    }

    /// <summary>Where a label lies, from the start.</summary>
    public int OffsetOf(string label) => _labels[label];

    public TinyAssembler Label(string label)
    {
        _labels.Add(label, _code.Count);
        return this;
    }

    /// <summary>Instructions as they are.</summary>
    public TinyAssembler Raw(params ReadOnlySpan<byte> bytes)
    {
        _code.AddRange(bytes);
        return this;
    }

    public TinyAssembler Move(Register register, uint value) => Raw((byte)(0xB8 + (int)register)).Number(value);

    public TinyAssembler Load(Register register, int address) => Raw(0x8B).Absolute((int)register, address);

    public TinyAssembler Store(int address, Register register) => Raw(0x89).Absolute((int)register, address);

    public TinyAssembler AddFrom(Register register, int address) => Raw(0x03).Absolute((int)register, address);

    public TinyAssembler Add(Register register, uint value) => Raw(0x81, (byte)(0xC0 | (int)register)).Number(value);

    public TinyAssembler Compare(Register register, uint value) => Raw(0x81, (byte)(0xF8 | (int)register)).Number(value);

    public TinyAssembler CompareWith(Register register, int address) => Raw(0x3B).Absolute((int)register, address);

    public TinyAssembler Exchange(int address, Register register) => Raw(0x87).Absolute((int)register, address);

    public TinyAssembler Call(string label) => Raw(0xE8).To(label);

    public TinyAssembler Jump(string label) => Raw(0xE9).To(label);

    public TinyAssembler JumpIfEqual(string label) => Raw(0x0F, 0x84).To(label);

    public TinyAssembler JumpIfNotEqual(string label) => Raw(0x0F, 0x85).To(label);

    public TinyAssembler Return() => Raw(0xC3);

    /// <summary>Orders all that was written before what is read after: LOCK OR of the stack's top.</summary>
    public TinyAssembler Fence() => Raw(0xF0, 0x83, 0x0C, 0x24, 0x00);

    /// <summary>WRMSR with a value below 4 GiB.</summary>
    public TinyAssembler WriteMsr(uint msr, uint value) => Move(Register.Ecx, msr).Move(Register.Eax, value).Raw(0x31, 0xD2, 0x0F, 0x30);

    /// <summary>OUT of a number to a port.</summary>
    public TinyAssembler Out(byte port, uint value) => Move(Register.Eax, value).Raw(0xE7, port);

    private TinyAssembler Absolute(int register, int address) => Raw((byte)(0x04 | (register << 3)), 0x25).Number((uint)address);

    private TinyAssembler Number(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        WriteUInt32LittleEndian(bytes, value);
        return Raw(bytes);
    }

    private TinyAssembler To(string label)
    {
        _jumps.Add((_code.Count, label));
        return Number(0);
    }
}
