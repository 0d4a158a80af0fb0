using VhdCore.Disks;

namespace VhdCore.Interop.Matrix;

/// <summary>Writes that reach the places where readers and writers go wrong: ends, block boundaries, single sectors, no alignment at all.</summary>
internal static class DiskPattern
{
    /// <summary>Offsets and lengths inside a disk of that size and block size.</summary>
    /// <param name="length">Bytes of disk.</param>
    /// <param name="blockSize">Bytes in a block.</param>
    /// <param name="unit">Bytes that every range begins and ends on a multiple of, where the disk's end allows it; 1 for none.</param>
    public static IEnumerable<(long Offset, int Count)> Ranges(long length, long blockSize, int unit)
    {
        (long Offset, long Count)[] wanted =
        [
            (0, 512),
            (length - 512, 512),
            (blockSize - 700, 1400), // across the first block's end
            ((3 * blockSize) + 5000, 9000),
            (length / 2, 3000),
            ((length / blockSize * blockSize) - 100, 200), // into the last block
        ];
        foreach (var (offset, count) in wanted)
        {
            var start = Math.Max(0, offset / unit * unit);
            var end = Math.Min(length, (offset + count + unit - 1) / unit * unit);
            if (end > start)
            {
                yield return (start, (int)(end - start));
            }
        }
    }

    /// <summary>Fills the ranges of a disk and of the model alike.</summary>
    public static async Task WriteAsync(VirtualDisk disk, SparseModel model, long blockSize, int seed, int unit = 1)
    {
        var random = new Random(seed);
        foreach (var (offset, count) in Ranges(disk.Length, blockSize, unit))
        {
            var bytes = new byte[count];
            random.NextBytes(bytes);
            await disk.WriteAsync(offset, bytes);
            model.Write(offset, bytes);
        }
    }

    /// <summary>Fills the ranges of the model alone.</summary>
    public static void Write(SparseModel model, long blockSize, int seed)
    {
        var random = new Random(seed);
        foreach (var (offset, count) in Ranges(model.Length, blockSize, 512))
        {
            var bytes = new byte[count];
            random.NextBytes(bytes);
            model.Write(offset, bytes);
        }
    }
}
