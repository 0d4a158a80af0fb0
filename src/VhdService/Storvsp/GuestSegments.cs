using System.Runtime.InteropServices;
using VhdCore.Primitives;
using VhdService.HyperV;
using VhdService.Storvsp.Wire;
using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Storvsp;

/// <summary>The guest memory of one request, as the list that a device reads and writes through: nothing is copied. Kept with its request and used again.</summary>
internal sealed unsafe class GuestSegments : IDisposable
{
    /// <summary>Ranges that one packet may name. Linux and Windows name one.</summary>
    public const int MaxRanges = 16;

    private readonly int _maxBytes;
    private readonly int _capacity;
    private IoVec* _segments;
    private int _count;
    private long _length;

    /// <summary>A list for requests of a certain size.</summary>
    /// <param name="maxBytes">The most that one request moves.</param>
    public GuestSegments(int maxBytes)
    {
        _maxBytes = maxBytes;
        _capacity = (maxBytes / GuestMemoryExtensions.PageSize) + (2 * MaxRanges); // a range may begin and end inside a page
        _segments = (IoVec*)NativeMemory.Alloc((nuint)_capacity, (nuint)sizeof(IoVec));
    }

    ~GuestSegments() => Free();

    /// <summary>Bytes that the guest gave.</summary>
    public long Length => _length;

    /// <summary>No memory.</summary>
    public void Clear()
    {
        _count = 0;
        _length = 0;
    }

    /// <summary>Finds the memory that a packet names.</summary>
    /// <returns>False when the ranges are not what a packet may say: page numbers too few, too many or outside memory, or more bytes than a request moves.</returns>
    public bool TrySet(in GpaDirectView packet, IGuestMemory memory)
    {
        Clear();
        if (!packet.IsWhole || packet.RangeCount > MaxRanges)
        {
            return false;
        }

        var words = packet.Ranges;
        for (var range = packet.RangeCount; range > 0; range--)
        {
            if (!TryAddRange(ref words, memory))
            {
                Clear();
                return false;
            }
        }

        return true; // what is behind the last range is not looked at: some Linux versions leave room there for more page numbers
    }

    /// <summary>The first bytes of the memory; valid until the next use.</summary>
    /// <param name="length">At most <see cref="Length"/>.</param>
    public BlockBuffers Take(long length)
    {
        if (length == 0)
        {
            return default;
        }

        if (length < _length)
        {
            Shorten(length);
        }

        // Safety: the first _count entries were filled in, and describe _length bytes.
        return _count == 1 ? BlockBuffers.Of(_segments[0].Address, _segments[0].Length) : BlockBuffers.List((nint)_segments, _count, _length);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private bool TryAddRange(ref ReadOnlySpan<byte> words, IGuestMemory memory)
    {
        if (words.Length < 8)
        {
            return false;
        }

        var byteCount = ReadUInt32LittleEndian(words);
        var byteOffset = ReadUInt32LittleEndian(words[4..]);
        words = words[8..];
        if (byteOffset >= GuestMemoryExtensions.PageSize || byteCount > _maxBytes - _length)
        {
            return false;
        }

        var left = (int)byteCount;
        var start = (int)byteOffset;
        while (left > 0)
        {
            if (words.Length < 8)
            {
                return false;
            }

            var pageNumber = ReadUInt64LittleEndian(words);
            words = words[8..];
            var run = Math.Min(left, GuestMemoryExtensions.PageSize - start);
            if (pageNumber > ulong.MaxValue / GuestMemoryExtensions.PageSize
                || !memory.TryGetAddress((pageNumber * GuestMemoryExtensions.PageSize) + (uint)start, run, out var address))
            {
                return false;
            }

            Add(address, run);
            left -= run;
            start = 0;
        }

        return true;
    }

    private void Add(nint address, int length)
    {
        _length += length;
        if (_count > 0)
        {
            ref var last = ref _segments[_count - 1];
            if (last.Address + last.Length == address)
            {
                last = new IoVec(last.Address, last.Length + length);
                return;
            }
        }

        // Safety: the capacity is the pages of _maxBytes, and two more for each range; byteCount was held against what is left of _maxBytes.
        _segments[_count++] = new IoVec(address, length);
    }

    private void Shorten(long length)
    {
        _length = length;
        var count = 0;
        while (length > 0)
        {
            // Safety: length is at most the sum of the entries, so the loop ends inside them.
            ref var segment = ref _segments[count++];
            if (segment.Length > length)
            {
                segment = new IoVec(segment.Address, (nint)length);
            }

            length -= segment.Length;
        }

        _count = count;
    }

    private void Free()
    {
        // Safety: allocated in the constructor; freed once, since the pointer is cleared.
        NativeMemory.Free(_segments);
        _segments = null;
    }
}
