using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>Offsets, sizes and limits of the format.</summary>
internal static class VhdLayout
{
    public const int SectorSize = 512; // bytes
    public const int FooterSize = 512; // bytes
    public const int HeaderSize = 1024; // bytes
    public const int BatEntrySize = 4; // bytes
    public const int DefaultBlockSize = 2 << 20; // bytes

    /// <summary>Bytes; larger blocks are refused.</summary>
    public const int MaxBlockSize = 256 << 20;

    /// <summary>Blocks of a disk; more are refused: a table of 64 MiB.</summary>
    public const int MaxBlockCount = 16 << 20;

    /// <summary>A table entry without a block.</summary>
    public const uint UnusedEntry = 0xFFFF_FFFF;

    /// <summary>Bytes; the largest dynamic or differencing disk that Hyper-V and QEMU take: 2040 GiB.</summary>
    public const long MaxDynamicSize = 2040L << 30;

    /// <summary>Block data begins on a multiple of this many bytes in what is written here.</summary>
    public const int DataAlignment = 4096;

    /// <summary>Bytes of sector bitmap that hold bits: one for each sector of a block.</summary>
    public static int BitmapByteCount(int blockSize) => Math.Max(1, blockSize / SectorSize / 8);

    /// <summary>Bytes that a block's sector bitmap takes in the file: whole sectors.</summary>
    public static int BitmapSize(int blockSize) => (int)Alignment.Up(BitmapByteCount(blockSize), SectorSize);
}
