using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Samples;

/// <summary>A stand-in for the lost parent of dfvfs-fat-differential.vhd: a fixed disk of its size and identifier, every byte the same.</summary>
internal static class FatParent
{
    public static byte[] Image(byte fill)
    {
        var disk = new PlainVhdBuilder
        {
            FileName = "fat-parent.vhd",
            Size = 4194304,
            IsFixed = true,
            UniqueId = Convert.FromHexString("5fa21a55f394aa4d99581951a67d5540"),
        };
        for (long sector = 0; sector < disk.Size / 512; sector++)
        {
            disk.Put(sector, [.. Enumerable.Repeat(fill, 512)]);
        }

        return disk.Build();
    }
}
