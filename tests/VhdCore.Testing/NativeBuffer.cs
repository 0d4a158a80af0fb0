using System.Runtime.InteropServices;
using VhdCore.Primitives;

namespace VhdCore.Testing;

/// <summary>Native memory for one request, aligned to 4096 bytes unless asked otherwise. Zeroed at first.</summary>
public sealed unsafe class NativeBuffer : IDisposable
{
    private readonly int _skew;
    private byte* _memory;

    /// <summary>Takes memory.</summary>
    /// <param name="length">Bytes.</param>
    /// <param name="skew">Bytes by which the first one lies off a multiple of 4096.</param>
    public NativeBuffer(int length, int skew = 0)
    {
        Length = length;
        _skew = skew;
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)(length + skew + 1), 4096);
        Span.Clear();
    }

    /// <summary>Takes memory and copies <paramref name="content"/> into it.</summary>
    public NativeBuffer(ReadOnlySpan<byte> content)
        : this(content.Length)
    {
        content.CopyTo(Span);
    }

    /// <summary>Bytes.</summary>
    public int Length { get; }

    /// <summary>Where the first byte lies.</summary>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_memory is null, this);
            return (nint)(_memory + _skew);
        }
    }

    /// <summary>The bytes.</summary>
    // Safety: `Length` bytes from `Address` on were allocated, and Address throws once they are freed.
    public Span<byte> Span => new((void*)Address, Length);

    /// <summary>The whole of it as one run.</summary>
    public BlockBuffers Buffers => BlockBuffers.Of(Address, Length);

    /// <summary>A part of it as one run.</summary>
    public BlockBuffers Slice(int start, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((ulong)(uint)start + (uint)length, (ulong)Length, nameof(length));
        return BlockBuffers.Of(Address + start, length);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Safety: allocated by AlignedAlloc in the constructor; freed once, since the pointer is cleared.
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
