namespace VhdCore.Primitives;

/// <summary>Zeros to write from, shared by everybody and never written to.</summary>
internal static class ZeroBuffer
{
    /// <summary>Bytes.</summary>
    public const int Size = 256 << 10;

    private static readonly byte[] Bytes = GC.AllocateArray<byte>(Size, pinned: true);

    /// <summary>The first <paramref name="length"/> bytes as a request's buffers.</summary>
    public static unsafe BlockBuffers Take(long length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Size);
        fixed (byte* address = Bytes)
        {
            // Safety: the array is pinned for good and never collected; requests only read it.
            return BlockBuffers.Of((nint)address, length);
        }
    }
}
