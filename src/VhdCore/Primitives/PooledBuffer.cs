using System.Runtime.InteropServices;

namespace VhdCore.Primitives;

/// <summary>A run of native memory, aligned to a page, for requests that the library makes itself. Disposing gives it back; nothing may be in flight then.</summary>
/// <remarks>Buffers up to <see cref="PooledSize"/> bytes are kept for reuse, a bounded number of them.</remarks>
internal sealed unsafe class PooledBuffer : IDisposable
{
    /// <summary>Bytes; requests up to this size come from the pool.</summary>
    public const int PooledSize = 64 << 10;

    private const int PageSize = 4096; // bytes
    private const int PoolLimit = 64; // buffers

    private static readonly System.Collections.Concurrent.ConcurrentBag<PooledBuffer> Pool = [];
    private static int _pooled;

    private void* _address;
    private int _isRented = 1;

    private PooledBuffer(int capacity)
    {
        _address = NativeMemory.AlignedAlloc((nuint)capacity, PageSize);
        Capacity = capacity;
    }

    ~PooledBuffer() => Free();

    /// <summary>Bytes available; at least what was asked for.</summary>
    public int Capacity { get; }

    /// <summary>The memory; its content is undefined at first.</summary>
    // Safety: the run lives until Dispose.
    public Span<byte> Span => new(_address, Capacity);

    /// <summary>The memory as a request's buffers.</summary>
    public BlockBuffers Buffers => BlockBuffers.Of((nint)_address, Capacity);

    /// <summary>Memory of at least <paramref name="size"/> bytes.</summary>
    public static PooledBuffer Rent(int size)
    {
        if (size > PooledSize)
        {
            return new PooledBuffer(size);
        }

        if (Pool.TryTake(out var buffer))
        {
            Interlocked.Decrement(ref _pooled);
            buffer._isRented = 1;
            return buffer;
        }

        return new PooledBuffer(PooledSize);
    }

    /// <summary>The first <paramref name="length"/> bytes as a request's buffers.</summary>
    public BlockBuffers Take(long length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Capacity);
        return BlockBuffers.Of((nint)_address, length);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isRented, 0) == 0)
        {
            return; // given back already
        }

        if (Capacity == PooledSize)
        {
            if (Interlocked.Increment(ref _pooled) <= PoolLimit)
            {
                Pool.Add(this);
                return;
            }

            Interlocked.Decrement(ref _pooled);
        }

        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        // Safety: allocated by AlignedAlloc, freed once.
        NativeMemory.AlignedFree(_address);
        _address = null;
    }
}
