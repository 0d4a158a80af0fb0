namespace VhdCore.Benchmarks.Programs;

/// <summary>Makes the images that the other programs work on.</summary>
internal static class RandomImage
{
    private const int Unit = 2 << 20; // bytes: a huge page, so that holes stay holes on a file system made of those
    private const int LongestRun = 64; // units

    /// <summary>A sparse raw file: runs of random data of 2 to 128 MiB, and as much of holes between them unless it is to be full.</summary>
    public static void Make(string path, long size, bool isFull)
    {
        var random = new Random(20260101);
        using var file = File.OpenHandle(path, FileMode.Create, FileAccess.Write, preallocationSize: 0);
        RandomAccess.SetLength(file, size);
        var bytes = new byte[Unit];
        var left = isFull ? size : size / 2;
        var holes = size - left;
        var offset = 0L;
        while (left > 0)
        {
            var run = Math.Min(left, Run(random));
            for (var end = offset + run; offset < end;)
            {
                var count = (int)Math.Min(Unit, end - offset);
                random.NextBytes(bytes);
                RandomAccess.Write(file, bytes.AsSpan(0, count), offset);
                offset += count;
            }

            left -= run;
            var hole = Math.Min(holes, Run(random));
            holes -= hole;
            offset += hole;
        }
    }

    private static long Run(Random random) => (long)Unit << random.Next((int)Math.Log2(LongestRun) + 1);
}
