using System.Runtime.InteropServices;
using VhdCore.Primitives;

namespace VhdService.Scsi;

/// <summary>Native memory for one command that moves data which is not the guest's memory.</summary>
internal sealed unsafe class ScratchBuffer : IDisposable
{
    private const int Alignment = 4096; // bytes, what direct I/O may ask for

    private void* _address;

    /// <summary>Takes <paramref name="length"/> bytes; their content is undefined.</summary>
    public ScratchBuffer(int length)
    {
        Length = length;
        _address = NativeMemory.AlignedAlloc((nuint)length, Alignment);
    }

    ~ScratchBuffer() => Free();

    /// <summary>Bytes.</summary>
    public int Length { get; }

    /// <summary>The memory.</summary>
    // Safety: allocated with this length in the constructor; callers do not use it after Dispose.
    public Span<byte> Span => new(_address, Length);

    /// <summary>The first bytes as a request's memory.</summary>
    public BlockBuffers Take(long length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        return BlockBuffers.Of((nint)_address, length);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        // Safety: allocated by AlignedAlloc; freed once, since the pointer is cleared.
        NativeMemory.AlignedFree(_address);
        _address = null;
    }
}
