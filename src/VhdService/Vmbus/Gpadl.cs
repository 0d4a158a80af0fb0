using VhdService.HyperV;

namespace VhdService.Vmbus;

/// <summary>A guest physical address descriptor list: pages that the guest shares, in the guest's order. It comes in any number of messages.</summary>
internal sealed class Gpadl(uint id, uint relid, int rangeCount, int wordCount)
{
    private readonly ulong[] _words = new ulong[wordCount]; // ranges as they came: {u32 byte count, u32 byte offset, u64 page number[]}
    private int _received;

    public uint Id { get; } = id;

    /// <summary>The channel it was made for.</summary>
    public uint Relid { get; } = relid;

    /// <summary>Words of the whole list.</summary>
    public int WordCount => _words.Length;

    /// <summary>Nothing more is to come.</summary>
    public bool IsComplete => _received == _words.Length;

    /// <summary>The ranges; empty before <see cref="TryFinish"/>.</summary>
    public IReadOnlyList<GpadlRange> Ranges { get; private set; } = [];

    /// <summary>An open channel has its rings in these pages.</summary>
    public bool IsInUse { get; set; }

    /// <summary>The guest has asked to have the pages back, and waits for the answer.</summary>
    public bool IsTearingDown { get; set; }

    /// <summary>Takes the words of one message.</summary>
    /// <returns>False when they are no whole words, or more than the list has.</returns>
    public bool TryAppend(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length % 8 != 0 || bytes.Length / 8 > _words.Length - _received)
        {
            return false;
        }

        bytes.CopyTo(System.Runtime.InteropServices.MemoryMarshal.AsBytes(_words.AsSpan(_received)));
        _received += bytes.Length / 8;
        return true;
    }

    /// <summary>Judges the complete list.</summary>
    /// <returns>False when the ranges do not fill the list exactly, or name pages that are not the guest's memory.</returns>
    public bool TryFinish(IGuestMemory memory)
    {
        var ranges = new GpadlRange[rangeCount];
        var next = 0;
        for (var index = 0; index < ranges.Length; index++)
        {
            if (next == _words.Length)
            {
                return false;
            }

            var byteCount = (uint)_words[next];
            var byteOffset = (uint)(_words[next] >> 32);
            next++;
            var pageCount = ((ulong)byteOffset + byteCount + GuestMemoryExtensions.PageSize - 1) / GuestMemoryExtensions.PageSize;
            if (byteCount == 0 || byteOffset >= GuestMemoryExtensions.PageSize || pageCount > (ulong)(_words.Length - next))
            {
                return false;
            }

            var pages = new nint[pageCount];
            for (var page = 0; page < pages.Length; page++)
            {
                if (!TryGetPage(memory, _words[next + page], out pages[page]))
                {
                    return false;
                }
            }

            next += pages.Length;
            ranges[index] = new GpadlRange(byteCount, byteOffset, pages);
        }

        if (next != _words.Length)
        {
            return false;
        }

        Ranges = ranges;
        return true;
    }

    private static bool TryGetPage(IGuestMemory memory, ulong pageNumber, out nint address)
    {
        address = 0;
        return pageNumber <= ulong.MaxValue / GuestMemoryExtensions.PageSize
            && memory.TryGetAddress(pageNumber * GuestMemoryExtensions.PageSize, GuestMemoryExtensions.PageSize, out address);
    }
}

/// <summary>One range of a <see cref="Gpadl"/>.</summary>
/// <param name="ByteCount">Bytes.</param>
/// <param name="ByteOffset">Where it begins in its first page.</param>
/// <param name="Pages">Where its pages lie here, in order; they need not follow each other.</param>
internal sealed record GpadlRange(uint ByteCount, uint ByteOffset, nint[] Pages);
