using VhdCore.Primitives;

namespace VhdCore.Storage.Linux;

/// <summary>What direct I/O on one file asks for, in bytes.</summary>
/// <param name="Memory">Addresses are multiples of it.</param>
/// <param name="Offset">Offsets and lengths are multiples of it.</param>
internal readonly record struct DirectAlignment(int Memory, int Offset)
{
    // Larger than any medium's sector: right where the kernel or file system does not tell (before Linux 6.1; btrfs).
    private const int Unknown = 4096;

    public static DirectAlignment Of(in LinuxCalls.StatXBuffer about) =>
        (about.Mask & LinuxCalls.STATX_DIOALIGN) != 0 && IsUsable(about.DirectMemoryAlignment) && IsUsable(about.DirectOffsetAlignment)
            ? new DirectAlignment((int)about.DirectMemoryAlignment, (int)about.DirectOffsetAlignment)
            : new DirectAlignment(Unknown, Unknown);

    /// <summary>Whether a range of the file begins and ends as it must.</summary>
    public bool HasRange(long offset, long length) => ((offset | length) & (Offset - 1)) == 0;

    /// <summary>Whether all the memory lies as it must, and no run of it ends where none may.</summary>
    public unsafe bool HasMemory(in BlockBuffers buffers, long start, long length)
    {
        while (length > 0)
        {
            var run = buffers.SpanAt(start, length);
            fixed (byte* address = run)
            {
                if (((nint)address & (Memory - 1)) != 0 || (run.Length & (Offset - 1)) != 0)
                {
                    return false;
                }
            }

            start += run.Length;
            length -= run.Length;
        }

        return true;
    }

    private static bool IsUsable(uint alignment) => alignment is > 0 and <= 1 << 16 && (alignment & (alignment - 1)) == 0;
}
