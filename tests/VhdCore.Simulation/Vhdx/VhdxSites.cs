namespace VhdCore.Simulation.Vhdx;

/// <summary>
/// A VHDX's smallest block is 1 MiB; the script touches, and the checks read, a few groups of sectors in each of some blocks: at its start, at its end,
/// and in between.
/// </summary>
/// <param name="blocks">Which blocks, in order; the last is the disk's last.</param>
/// <param name="blockSize">Bytes of a block.</param>
/// <param name="diskSize">Bytes of disk; the last block need not be whole.</param>
/// <param name="groupCount">Groups in a block, at least 2.</param>
/// <param name="groupSize">Sites in a group: neighbours on the disk, whole logical sectors.</param>
internal sealed class VhdxSites(int[] blocks, long blockSize, long diskSize, int groupCount, int groupSize) : DiskSites
{
    private const int Alignment = 4096; // bytes: the largest logical sector

    public override int Count => blocks.Length * SitesPerBlock;

    public override int SitesPerBlock => groupCount * groupSize;

    public override bool HasGaps => true;

    /// <summary>The blocks that sites lie in.</summary>
    public IReadOnlyList<int> Blocks => blocks;

    public override long OffsetOf(int site)
    {
        var (start, length) = BlockAt(site);
        var group = site % SitesPerBlock / groupSize;
        var last = length - (groupSize * Sector);
        var inBlock = group == groupCount - 1 ? last : last / (groupCount - 1) * group / Alignment * Alignment;
        return start + inBlock + (site % groupSize * Sector);
    }

    public override int NeighboursAt(int site) => groupSize - (site % groupSize);

    public override (long Offset, long Length) BlockAt(int site)
    {
        var start = blocks[site / SitesPerBlock] * blockSize;
        return (start, Math.Min(blockSize, diskSize - start));
    }
}
