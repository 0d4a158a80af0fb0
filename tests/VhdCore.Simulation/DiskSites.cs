namespace VhdCore.Simulation;

/// <summary>The sectors of 512 bytes that a script touches and the checks read, numbered through; the oracle knows them by these numbers.</summary>
internal abstract class DiskSites
{
    protected const int Sector = SectorOracle.SectorSize;

    /// <summary>How many there are.</summary>
    public abstract int Count { get; }

    /// <summary>Sites of a block; the disk's last block may have fewer.</summary>
    public abstract int SitesPerBlock { get; }

    /// <summary>There are sectors between the sites that are not sites.</summary>
    public abstract bool HasGaps { get; }

    /// <summary>Bytes of disk before a site.</summary>
    public abstract long OffsetOf(int site);

    /// <summary>Sites from this one on that lie side by side on the disk.</summary>
    public abstract int NeighboursAt(int site);

    /// <summary>The block that a site lies in, in bytes of disk.</summary>
    public abstract (long Offset, long Length) BlockAt(int site);

    /// <summary>The first site of a site's block.</summary>
    public int FirstInBlock(int site) => site - (site % SitesPerBlock);

    /// <summary>Sites in the block that begins with this one.</summary>
    public int CountInBlock(int first) => Math.Min(SitesPerBlock, Count - first);

    /// <summary>All sites' content, one behind the other.</summary>
    /// <param name="read">Reads neighbours: bytes of disk, and how many.</param>
    public byte[] Gather(Func<long, int, byte[]> read)
    {
        var content = new byte[Count * Sector];
        for (var site = 0; site < Count; site += NeighboursAt(site))
        {
            read(OffsetOf(site), NeighboursAt(site) * Sector).CopyTo(content, site * Sector);
        }

        return content;
    }
}

/// <summary>Every sector of a small disk.</summary>
/// <param name="size">Bytes of disk.</param>
/// <param name="blockSize">Bytes of a block.</param>
internal sealed class AllSectors(int size, int blockSize) : DiskSites
{
    public override int Count => size / Sector;

    public override int SitesPerBlock => blockSize / Sector;

    public override bool HasGaps => false;

    public override long OffsetOf(int site) => (long)site * Sector;

    public override int NeighboursAt(int site) => Count - site;

    public override (long Offset, long Length) BlockAt(int site)
    {
        var first = FirstInBlock(site);
        return (OffsetOf(first), (long)CountInBlock(first) * Sector);
    }
}
