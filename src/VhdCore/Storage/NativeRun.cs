using System.Buffers;
using VhdCore.Primitives;

namespace VhdCore.Storage;

/// <summary>One run of a request's native memory in the form that .NET's asynchronous calls take. The request's owner keeps the memory.</summary>
internal sealed unsafe class NativeRun : MemoryManager<byte>
{
    private readonly byte* _address;
    private readonly int _length;

    private NativeRun(byte* address, int length)
    {
        _address = address;
        _length = length;
    }

    /// <summary>Bytes.</summary>
    public int Length => _length;

    /// <summary>The longest contiguous run from <paramref name="start"/> on.</summary>
    public static NativeRun Of(in BlockBuffers buffers, long start, long length)
    {
        var span = buffers.SpanAt(start, length);

        // Safety: native memory, or pinned by whoever made the request: it does not move.
        fixed (byte* address = span)
        {
            return new NativeRun(address, span.Length);
        }
    }

    // Safety: the run is inside the request's memory, which lives until the request has ended.
    public override Span<byte> GetSpan() => new(_address, _length);

    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)_length);

        // Safety: inside the run, checked above.
        return new MemoryHandle(_address + elementIndex, pinnable: this);
    }

    public override void Unpin()
    {
        // It was not pinned: it does not move.
    }

    protected override void Dispose(bool disposing)
    {
        // Nothing is owned.
    }
}
