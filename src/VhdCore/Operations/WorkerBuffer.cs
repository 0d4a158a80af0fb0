using VhdCore.Primitives;

namespace VhdCore.Operations;

/// <summary>Native memory that one worker owns from its first request to its last.</summary>
internal sealed unsafe class WorkerBuffer : IDisposable
{
    private void* _address;

    public WorkerBuffer(int size)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        Size = size;

        // Safety: freed once, in Dispose; every view of it is handed out by the methods below, within Size.
        _address = HugePageMemory.Allocate(size);
    }

    /// <summary>Bytes.</summary>
    public int Size { get; }

    /// <summary>The bytes from <paramref name="start"/> on, as a span. Not to be used once the buffer is disposed.</summary>
    public Span<byte> Span(int start, int length)
    {
        Check(start, length);

        // Safety: inside the allocation, checked above.
        return new Span<byte>((byte*)_address + start, length);
    }

    /// <summary>The bytes from <paramref name="start"/> on, as a request's memory.</summary>
    public BlockBuffers Slice(int start, int length)
    {
        Check(start, length);
        return BlockBuffers.Of((nint)_address + start, length);
    }

    public void Dispose()
    {
        // Safety: the pointer came from Allocate, and is forgotten before anybody could free it again.
        var address = _address;
        _address = null;
        HugePageMemory.Free(address, Size);
    }

    private void Check(int start, int length)
    {
        ObjectDisposedException.ThrowIf(_address is null, this);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Size);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Size - start);
    }
}
