using static System.Buffers.Binary.BinaryPrimitives;

namespace MiniHypervisor.Boot;

/// <summary>What a processor needs in memory to start in 64-bit mode: descriptors, and page tables that map the first 4 GiB onto themselves.</summary>
internal static class LongMode
{
    /// <summary>Where the descriptor table lies.</summary>
    public const int Descriptors = 0x500;

    /// <summary>Where the top page table lies; five more pages follow it.</summary>
    public const int PageTable = 0x9000;

    private const ulong PresentWritable = 0x3;
    private const ulong LargePage = 0x80; // 2 MiB
    private const int PageSize = 4096;

    public static void Write(GuestMemory memory)
    {
        var descriptors = memory.Span(Descriptors, 32);
        WriteUInt64LittleEndian(descriptors[16..], 0x00AF_9B00_0000_FFFF); // 10h: 64-bit code
        WriteUInt64LittleEndian(descriptors[24..], 0x00CF_9300_0000_FFFF); // 18h: data

        const int Pointers = PageTable + PageSize;
        const int Directories = Pointers + PageSize;
        WriteUInt64LittleEndian(memory.Span(PageTable, 8), Pointers | PresentWritable);
        for (var gigabyte = 0; gigabyte < 4; gigabyte++)
        {
            var directory = Directories + (gigabyte * PageSize);
            WriteUInt64LittleEndian(memory.Span(Pointers + (gigabyte * 8), 8), (ulong)directory | PresentWritable);
            for (var page = 0; page < 512; page++)
            {
                var target = ((ulong)gigabyte << 30) | ((ulong)page << 21);
                WriteUInt64LittleEndian(memory.Span(directory + (page * 8), 8), target | LargePage | PresentWritable);
            }
        }
    }
}
