using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>How long the files are that are made here.</summary>
internal static class VhdFileSize
{
    /// <summary>Bytes of a fixed disk's file.</summary>
    /// <param name="size">Bytes of virtual disk, whole sectors.</param>
    public static long OfFixed(long size) => size + VhdLayout.FooterSize;

    /// <summary>
    /// Bytes of a dynamic disk's file, closed. Blocks of 16 MiB and more may lie up to 4 KiB a block closer: whether they do depends on where the footer stood while
    /// they were allocated.
    /// </summary>
    /// <param name="size">Bytes of virtual disk.</param>
    /// <param name="blockSize">Bytes in a block.</param>
    /// <param name="allocatedCount">Blocks that hold something.</param>
    /// <exception cref="OverflowException">No file is that long.</exception>
    public static long OfDynamic(long size, int blockSize, long allocatedCount)
    {
        var tableEnd = TableEnd(size, blockSize);
        return allocatedCount == 0
            ? tableEnd + VhdLayout.FooterSize
            : checked(FirstDataOffset(tableEnd, blockSize) + ((allocatedCount - 1) * Stride(blockSize)) + blockSize + VhdLayout.FooterSize);
    }

    /// <summary>Where the table of a dynamic disk ends, with the space up to the next boundary; blocks come behind it.</summary>
    public static long TableEnd(long size, int blockSize) =>
        VhdLayout.DataAlignment + Alignment.Up(Alignment.CountOf(size, blockSize) * VhdLayout.BatEntrySize, VhdLayout.DataAlignment);

    /// <summary>Where the first block's data begins: on its alignment, behind its bitmap and the sector that the footer had before.</summary>
    public static long FirstDataOffset(long tableEnd, int blockSize) => Alignment.Up(tableEnd + BeforeData(blockSize), VhdLayout.DataAlignment);

    /// <summary>Bytes from one block's data to the next one's.</summary>
    public static long Stride(int blockSize) => Alignment.Up(blockSize + BeforeData(blockSize), VhdLayout.DataAlignment);

    private static long BeforeData(int blockSize) => VhdLayout.FooterSize + VhdLayout.BitmapSize(blockSize);
}
