using System.Text;
using static System.Buffers.Binary.BinaryPrimitives;

namespace MiniHypervisor.Boot;

/// <summary>Puts a Linux kernel where its 64-bit boot protocol wants it (Documentation/arch/x86/boot.rst).</summary>
internal static class LinuxLoader
{
    /// <summary>Where the zero page lies; RSI points to it.</summary>
    public const int ZeroPage = 0x7000;

    private const int CommandLine = 0x20000;
    private const int MaxCommandLine = 2047; // bytes
    private const int HeaderStart = 0x1F1; // the same place in the file and in the zero page
    private const uint Memory = 1;
    private const uint Reserved = 2;
    private const long Megabyte = 1 << 20;

    /// <summary>Loads a bzImage and an initial RAM disk.</summary>
    /// <returns>The entry point.</returns>
    /// <exception cref="InvalidDataException">The file is no bzImage with a 64-bit entry, or the memory is too small for it.</exception>
    public static ulong Load(GuestMemory memory, ReadOnlySpan<byte> kernel, ReadOnlySpan<byte> initrd, string commandLine, ulong acpiTables)
    {
        if (kernel.Length < 0x1000 || !kernel[0x202..].StartsWith("HdrS"u8) || ReadUInt16LittleEndian(kernel[0x206..]) < 0x20C || (kernel[0x236] & 1) == 0)
        {
            throw new InvalidDataException("The kernel is no bzImage with a 64-bit entry. Distributions install one as /boot/vmlinuz-VERSION.");
        }

        var text = Encoding.UTF8.GetBytes(commandLine);
        if (text.Length > MaxCommandLine)
        {
            throw new InvalidDataException($"The command line has {text.Length} bytes; {MaxCommandLine} is the most.");
        }

        var setupSectors = kernel[0x1F1] == 0 ? 4 : kernel[0x1F1];
        var payload = kernel[((setupSectors + 1) * 512)..];
        var loadAddress = (long)ReadUInt64LittleEndian(kernel[0x258..]);
        var kernelEnd = loadAddress + Math.Max(payload.Length, ReadUInt32LittleEndian(kernel[0x260..]));
        var initrdAddress = (memory.Length - initrd.Length) & ~0xFFFL;
        if (loadAddress < Megabyte || initrdAddress < kernelEnd)
        {
            throw new InvalidDataException(
                $"The kernel needs the memory up to {kernelEnd >> 20} MiB and the initial RAM disk {initrd.Length >> 20} MiB; the guest has {memory.Length >> 20} MiB. Give it more (--memory).");
        }

        payload.CopyTo(memory.Span(loadAddress, payload.Length));
        initrd.CopyTo(memory.Span(initrdAddress, initrd.Length));
        text.CopyTo(memory.Span(CommandLine, text.Length));

        var zeroPage = memory.Span(ZeroPage, 4096);
        var headerEnd = 0x202 + kernel[0x201];
        kernel[HeaderStart..headerEnd].CopyTo(zeroPage[HeaderStart..]);
        zeroPage[0x210] = 0xFF; // type_of_loader: none of the listed
        zeroPage[0x211] |= 0x01; // LOADED_HIGH
        WriteUInt32LittleEndian(zeroPage[0x218..], (uint)initrdAddress);
        WriteUInt32LittleEndian(zeroPage[0x21C..], (uint)initrd.Length);
        WriteUInt32LittleEndian(zeroPage[0x228..], CommandLine);
        WriteUInt64LittleEndian(zeroPage[0x70..], acpiTables);
        WriteMemoryMap(zeroPage, memory.Length);
        return (ulong)loadAddress + 0x200;
    }

    private static void WriteMemoryMap(Span<byte> zeroPage, long length)
    {
        ReadOnlySpan<(long Start, long End, uint Kind)> map =
        [
            (0, 0x9_FC00, Memory),
            (AcpiTables.Address, Megabyte, Reserved),
            (Megabyte, length, Memory),
        ];
        zeroPage[0x1E8] = (byte)map.Length;
        var entry = zeroPage[0x2D0..];
        foreach (var (start, end, kind) in map)
        {
            WriteInt64LittleEndian(entry, start);
            WriteInt64LittleEndian(entry[8..], end - start);
            WriteUInt32LittleEndian(entry[16..], kind);
            entry = entry[20..];
        }
    }
}
