using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Generators;

/// <summary>Makes the chain of three in samples/images/xen-chain, with code that shares nothing with the library.</summary>
internal static class XenChainGenerator
{
    public const int VirtualSize = 16 << 20; // bytes

    /// <summary>Smaller than XenServer's 2 MiB, so that the files stay small; libvhd takes any power of two up to that.</summary>
    public const int BlockSize = 512 << 10; // bytes

    private const int SectorsPerBlock = BlockSize / 512;
    private const int BlockCount = VirtualSize / BlockSize;

    /// <summary>The three images, base first.</summary>
    public static IReadOnlyList<PlainVhdBuilder> Make()
    {
        // Seconds since 2000-01-01: 2024-05-01 10:00, 11:00 and 12:00 UTC.
        var root = Image("base.vhd", 1, 767_872_800, isHidden: true, null)
            .PutText(SectorOf(0, 0), SectorsPerBlock) // all bits: the batmap says so too
            .PutText(SectorOf(1, 0), 128)
            .PutText(SectorOf(9, 1000), 24);
        var snapshot = Image("snap.vhd", 2, 767_876_400, isHidden: true, root)
            .PutText(SectorOf(0, 8), 8)
            .PutText(SectorOf(0, 100), 4)
            .PutText(SectorOf(5, 0), 3)
            .PutText(SectorOf(5, 511), 10)
            .PutZeros(SectorOf(9, 1000), 8); // these hide the base's text
        var leaf = Image("leaf.vhd", 3, 767_880_000, isHidden: false, snapshot)
            .PutText(SectorOf(0, 12), 8) // over the snapshot's sectors and the base's
            .PutText(SectorOf(5, 515), 1)
            .PutText(SectorOf(12, 0), SectorsPerBlock)
            .PutText(SectorOf(BlockCount - 1, SectorsPerBlock - 8), 8);
        return [root, snapshot, leaf];
    }

    private static long SectorOf(int block, int sectorInBlock) => ((long)block * SectorsPerBlock) + sectorInBlock;

    private static PlainVhdBuilder Image(string name, byte id, uint timestamp, bool isHidden, PlainVhdBuilder? parent) => new()
    {
        FileName = name,
        Size = VirtualSize,
        BlockSize = BlockSize,
        Dialect = PlainDialect.Xen,
        Id = id,
        Timestamp = timestamp,
        IsHidden = isHidden,
        Parent = parent,
    };
}
