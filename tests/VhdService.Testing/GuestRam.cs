using System.Runtime.InteropServices;
using VhdService.HyperV;

namespace VhdService.Testing;

/// <summary>A guest's memory from address 0, and an allocator that gives its pages out in no order at all.</summary>
internal sealed unsafe class GuestRam : IDisposable
{
    public const int PageSize = 4096;

    private readonly Stack<ulong> _free;
    private byte* _memory;

    public GuestRam(int pageCount, int seed)
    {
        PageCount = pageCount;
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)pageCount * PageSize, PageSize);
        new Span<byte>(_memory, pageCount * PageSize).Clear();
        var numbers = Enumerable.Range(1, pageCount - 1).Select(page => (ulong)page).ToArray(); // page 0 stays out, so that a forgotten number shows
        new Random(seed).Shuffle(numbers);
        _free = new Stack<ulong>(numbers);
        Memory = new FlatGuestMemory((nint)_memory, (long)pageCount * PageSize);
    }

    public int PageCount { get; }

    public int FreePages => _free.Count;

    /// <summary>What the host sees.</summary>
    public IGuestMemory Memory { get; }

    public ulong Allocate() => _free.Pop();

    public ulong[] Allocate(int count) => [.. Enumerable.Range(0, count).Select(_ => Allocate())];

    public void Free(params IEnumerable<ulong> pages)
    {
        foreach (var page in pages)
        {
            _free.Push(page);
        }
    }

    public Span<byte> Page(ulong pageNumber) => At(pageNumber * PageSize, PageSize);

    public Span<byte> At(ulong address, int length)
    {
        ObjectDisposedException.ThrowIf(_memory is null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(address + (ulong)length, (ulong)PageCount * PageSize);
        return new Span<byte>(_memory + address, length);
    }

    public ref uint U32(ulong address) => ref MemoryMarshal.AsRef<uint>(At(address, 4));

    public ref ulong U64(ulong address) => ref MemoryMarshal.AsRef<ulong>(At(address, 8));

    /// <summary>Copies bytes into pages that belong together.</summary>
    public void Write(IReadOnlyList<ulong> pages, int offset, ReadOnlySpan<byte> content)
    {
        while (content.Length > 0)
        {
            var run = Math.Min(content.Length, PageSize - (offset % PageSize));
            content[..run].CopyTo(Page(pages[offset / PageSize])[(offset % PageSize)..]);
            content = content[run..];
            offset += run;
        }
    }

    /// <summary>Copies bytes out of pages that belong together.</summary>
    public void Read(IReadOnlyList<ulong> pages, int offset, Span<byte> into)
    {
        while (into.Length > 0)
        {
            var run = Math.Min(into.Length, PageSize - (offset % PageSize));
            Page(pages[offset / PageSize]).Slice(offset % PageSize, run).CopyTo(into);
            into = into[run..];
            offset += run;
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
