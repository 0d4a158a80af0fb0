namespace VhdCore.Vhdx;

/// <summary>Where things lie in a VHDX, and the format's limits ([MS-VHDX] §2.1 and §2.2). Bytes, unless the name says otherwise.</summary>
internal static class VhdxLayout
{
    public const int OneMiB = 1 << 20;

    /// <summary>Everything behind the header section is aligned to this.</summary>
    public const int StructureAlignment = OneMiB;

    /// <summary>Nothing but the file type identifier, the headers and the region tables lies before this.</summary>
    public const int HeaderSectionSize = OneMiB;

    public const int FirstHeaderOffset = 64 << 10;
    public const int SecondHeaderOffset = 128 << 10;
    public const int FirstRegionTableOffset = 192 << 10;
    public const int SecondRegionTableOffset = 256 << 10;

    /// <summary>What lies before this is never updated through the log: the file type identifier and the headers.</summary>
    public const int FirstLoggableOffset = FirstRegionTableOffset;

    /// <summary>The unit that the log updates the file in, and that its entries are made of.</summary>
    public const int LogSectorSize = 4096;

    /// <summary>A longer log is refused. Hyper-V and QEMU make logs of 1 MiB.</summary>
    public const uint MaxLogLength = 1 << 30;

    public const int BatEntrySize = 8;

    public const int SectorBitmapBlockSize = OneMiB;

    /// <summary>Logical sectors that one sector bitmap block describes: a chunk.</summary>
    public const int SectorsPerChunk = 1 << 23;

    public const uint MinBlockSize = OneMiB;
    public const uint MaxBlockSize = 256 * OneMiB;
    public const ulong MaxDiskSize = 64UL << 40;

    /// <summary>No offset behind this is believed: four times the largest disk.</summary>
    public const long MaxFileLength = 256L << 40;
}
