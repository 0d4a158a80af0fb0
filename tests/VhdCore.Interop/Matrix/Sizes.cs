namespace VhdCore.Interop.Matrix;

/// <summary>Sizes and block sizes of the matrix, in bytes.</summary>
internal static class Sizes
{
    public const long MiB = 1L << 20;
    public const long GiB = 1L << 30;

    /// <summary>What the largest geometry covers, 127.5 GiB: 65535 cylinders, 16 heads, 255 sectors.</summary>
    public const long LargestGeometry = 65535L * 16 * 255 * 512;

    /// <summary>The largest dynamic disk.</summary>
    public const long Largest = 2040 * GiB;

    public static readonly long[] Small =
        [512, MiB - 512, MiB, (2 * MiB) - 512, 2 * MiB, (2 * MiB) + 512, (5 * MiB) + 1536, 7_340_544];

    public static readonly long[] Big = [GiB, GiB + 512, LargestGeometry - 512, LargestGeometry, LargestGeometry + 512, Largest];

    /// <summary>What Windows takes, and with it every reader.</summary>
    public static readonly int[] UsualBlocks = [512 << 10, 2 << 20];

    /// <summary>What only some readers take. QEMU finds no room for the bitmap of blocks below 4 KiB, and reads it as data.</summary>
    public static readonly int[] UnusualBlocks = [512, 4096, 64 << 10, 1 << 20, 4 << 20, 16 << 20];
}
