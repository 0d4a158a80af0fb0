namespace VhdCore.Simulation.Vhdx;

/// <summary>
/// A VHDX's smallest block is 1 MiB; the script touches, and the checks read, a few sectors of each: its first, middle and last four. They are numbered
/// through, and the oracle knows them by these numbers.
/// </summary>
internal static class VhdxSites
{
    public const int BlockSize = 1 << 20; // bytes
    public const int BlockCount = 4;
    public const int GroupSize = 4; // sites that are neighbours on the disk
    public const int SitesPerBlock = 3 * GroupSize;
    public const int Count = BlockCount * SitesPerBlock;
    public const int Size = BlockCount * BlockSize; // bytes of disk

    private const int SectorsPerBlock = BlockSize / SectorOracle.SectorSize;

    /// <summary>The disk's sector of a site.</summary>
    public static int SectorOf(int site)
    {
        var inBlock = site % SitesPerBlock;
        var start = (inBlock / GroupSize) switch { 0 => 0, 1 => SectorsPerBlock / 2, _ => SectorsPerBlock - GroupSize };
        return (site / SitesPerBlock * SectorsPerBlock) + start + (inBlock % GroupSize);
    }

    /// <summary>Bytes of disk before a site.</summary>
    public static long OffsetOf(int site) => (long)SectorOf(site) * SectorOracle.SectorSize;

    /// <summary>All sites' content, one behind the other.</summary>
    public static byte[] Gather(Func<int, byte[]> readSector)
    {
        var content = new byte[Count * SectorOracle.SectorSize];
        for (var site = 0; site < Count; site++)
        {
            readSector(SectorOf(site)).CopyTo(content, site * SectorOracle.SectorSize);
        }

        return content;
    }
}
