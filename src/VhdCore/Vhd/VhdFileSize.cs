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
        var tableSize = Alignment.Up(Alignment.CountOf(size, blockSize) * VhdLayout.BatEntrySize, VhdLayout.DataAlignment);
        var tableEnd = VhdLayout.DataAlignment + tableSize;
        if (allocatedCount == 0)
        {
            return tableEnd + VhdLayout.FooterSize;
        }

        // A block's data begins on its alignment, behind its bitmap and the sector that the footer had before.
        var before = VhdLayout.FooterSize + VhdLayout.BitmapSize(blockSize);
        var firstData = Alignment.Up(tableEnd + before, VhdLayout.DataAlignment);
        var stride = Alignment.Up((long)blockSize + before, VhdLayout.DataAlignment);
        return checked(firstData + ((allocatedCount - 1) * stride) + blockSize + VhdLayout.FooterSize);
    }
}
