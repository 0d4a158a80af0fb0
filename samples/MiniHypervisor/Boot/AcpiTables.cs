using MiniHypervisor.Devices;
using static System.Buffers.Binary.BinaryPrimitives;

namespace MiniHypervisor.Boot;

/// <summary>
/// The least ACPI that a Linux guest needs: its processors and interrupt controllers, a way to switch off, and the VMBus device, without which hv_vmbus does
/// not look for a bus.
/// </summary>
internal static class AcpiTables
{
    /// <summary>Where the root pointer lies.</summary>
    public const int Address = 0xE0000;

    private const int Rsdt = Address + 0x40;
    private const int Fadt = Address + 0x100;
    private const int Madt = Address + 0x300;
    private const int Dsdt = Address + 0x1000;
    private const int HeaderSize = 36;

    // Scope (\_SB) { Device (VMBS) { Name (_HID, "VMBus") Name (_UID, 0) Name (_STA, 0xF)
    //     Name (_CRS, ResourceTemplate () { QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, 0, 0xFE0000000, 0xFFFFFFFFF, 0, 0x20000000) }) } }
    private static ReadOnlySpan<byte> BusDevice =>
    [
        0x10, 0x41, 0x06, 0x5C, 0x5F, 0x53, 0x42, 0x5F, 0x5B, 0x82, 0x48, 0x05, 0x56, 0x4D, 0x42, 0x53, 0x08, 0x5F, 0x48, 0x49, 0x44, 0x0D, 0x56, 0x4D, 0x42, 0x75, 0x73, 0x00,
        0x08, 0x5F, 0x55, 0x49, 0x44, 0x00, 0x08, 0x5F, 0x53, 0x54, 0x41, 0x0A, 0x0F, 0x08, 0x5F, 0x43, 0x52, 0x53, 0x11, 0x33, 0x0A, 0x30, 0x8A, 0x2B, 0x00, 0x00, 0x0C, 0x01,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xE0, 0x0F, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x79, 0x00,
    ];

    // Name (_S5, Package () { 5, 5, 0, 0 }): writing 5 as the sleep type switches off.
    private static ReadOnlySpan<byte> PowerOff => [0x08, 0x5F, 0x53, 0x35, 0x5F, 0x12, 0x08, 0x04, 0x0A, 0x05, 0x0A, 0x05, 0x00, 0x00];

    /// <summary>Writes the tables.</summary>
    public static void Write(GuestMemory memory, int processorCount)
    {
        WriteDsdt(memory);
        WriteFadt(memory);
        WriteMadt(memory, processorCount);

        var root = Begin(memory, Rsdt, "XSDT"u8, 1, HeaderSize + 16);
        WriteUInt64LittleEndian(root[HeaderSize..], Fadt);
        WriteUInt64LittleEndian(root[(HeaderSize + 8)..], Madt);
        Seal(root, 9);

        var pointer = memory.Span(Address, 36);
        pointer.Clear();
        "RSD PTR "u8.CopyTo(pointer);
        "VHDKIT"u8.CopyTo(pointer[9..]);
        pointer[15] = 2; // revision
        WriteUInt32LittleEndian(pointer[20..], 36);
        WriteUInt64LittleEndian(pointer[24..], Rsdt);
        Seal(pointer[..20], 8);
        Seal(pointer, 32);
    }

    private static void WriteDsdt(GuestMemory memory)
    {
        var table = Begin(memory, Dsdt, "DSDT"u8, 2, HeaderSize + BusDevice.Length + PowerOff.Length);
        BusDevice.CopyTo(table[HeaderSize..]);
        PowerOff.CopyTo(table[(HeaderSize + BusDevice.Length)..]);
        Seal(table, 9);
    }

    private static void WriteFadt(GuestMemory memory)
    {
        var table = Begin(memory, Fadt, "FACP"u8, 6, 276);
        WriteUInt32LittleEndian(table[40..], Dsdt);
        WriteUInt16LittleEndian(table[46..], 9); // SCI_INT
        WriteUInt32LittleEndian(table[56..], PowerManagement.EventBlock);
        WriteUInt32LittleEndian(table[64..], PowerManagement.ControlBlock);
        WriteUInt32LittleEndian(table[76..], PowerManagement.Timer);
        table[88] = 4; // PM1_EVT_LEN
        table[89] = 2; // PM1_CNT_LEN
        table[91] = 4; // PM_TMR_LEN
        WriteUInt16LittleEndian(table[109..], 0x0025); // legacy devices, no VGA, no CMOS clock; no 8042, which spares a probe of seconds
        WriteUInt32LittleEndian(table[112..], 0x31); // WBINVD, fixed power and sleep buttons absent
        WriteUInt64LittleEndian(table[140..], Dsdt);
        Seal(table, 9);
    }

    private static void WriteMadt(GuestMemory memory, int processorCount)
    {
        var table = Begin(memory, Madt, "APIC"u8, 4, HeaderSize + 8 + (processorCount * 8) + 12 + 10);
        WriteUInt32LittleEndian(table[36..], 0xFEE0_0000);
        table[40] = 1; // there are 8259s as well
        var entry = table[44..];
        for (var i = 0; i < processorCount; i++)
        {
            ReadOnlySpan<byte> localApic = [0, 8, (byte)i, (byte)i, 1, 0, 0, 0];
            localApic.CopyTo(entry);
            entry = entry[8..];
        }

        ReadOnlySpan<byte> ioApic = [1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0]; // at FEC00000h, from interrupt 0
        ioApic.CopyTo(entry);
        ReadOnlySpan<byte> timerOverride = [2, 10, 0, 0, 2, 0, 0, 0, 0, 0]; // ISA interrupt 0 is input 2
        timerOverride.CopyTo(entry[12..]);
        Seal(table, 9);
    }

    private static Span<byte> Begin(GuestMemory memory, int address, ReadOnlySpan<byte> signature, byte revision, int length)
    {
        var table = memory.Span(address, length);
        table.Clear();
        signature.CopyTo(table);
        WriteInt32LittleEndian(table[4..], length);
        table[8] = revision;
        "VHDKIT"u8.CopyTo(table[10..]);
        "MINIHYPV"u8.CopyTo(table[16..]);
        WriteUInt32LittleEndian(table[24..], 1);
        "VHDK"u8.CopyTo(table[28..]);
        WriteUInt32LittleEndian(table[32..], 1);
        return table;
    }

    // All bytes of a table add up to 0.
    private static void Seal(Span<byte> table, int checksumAt)
    {
        byte sum = 0;
        foreach (var value in table)
        {
            sum += value;
        }

        table[checksumAt] -= sum;
    }
}
