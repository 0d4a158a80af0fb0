using System.Text.Json;
using VhdCore.Disks;
using VhdCore.Interop.Peers;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Matrix;

/// <summary>Holds what each reader sees of a VHDX against the model. Of huge disks, the sectors that were written and some beside them.</summary>
internal static class ExpectVhdx
{
    private const long WholeLength = 4L << 20; // bytes; up to here everything is compared
    private const long LargestComparison = 1L << 30; // bytes; qemu-img compare reads every byte of a VHDX

    /// <summary>Everybody who can read the image sees the model.</summary>
    /// <param name="model">What it should hold.</param>
    /// <param name="path">A disk without a parent.</param>
    public static async Task EverywhereAsync(SparseModel model, string path)
    {
        await Expect.OursAsync(model, path);
        await Expect.SoundAsync(path);
        Independent(model, path);
        await MapAsync(path);
        Qemu(model, path);
        Libvhdi(model, path);
    }

    /// <summary>The independent reader sees the model, the file ends on the MiB grid, and no log is left.</summary>
    /// <param name="model">What it should hold.</param>
    /// <param name="paths">The leaf, then its parents.</param>
    public static void Independent(SparseModel model, params string[] paths)
    {
        using var chain = Open(paths);
        Assert.Equal(model.Length, chain.DiskSize);
        Assert.Equal(0, new FileInfo(paths[0]).Length % Sizes.MiB);
        Assert.All(chain.Images, image => Assert.Equal(0, image.ReplayedEntries));
        foreach (var (offset, count) in Ranges(model))
        {
            Assert.True(chain.Read(offset, count).AsSpan().SequenceEqual(model.Read(offset, count)), $"Something in {count} bytes at {offset} of {paths[0]} differs.");
        }
    }

    /// <summary>The map says of every sector compared which image answers and where the sector lies in its file, as the independent reader does.</summary>
    /// <param name="paths">The leaf, then its parents.</param>
    public static async Task MapAsync(params string[] paths)
    {
        await using var disk = await VirtualDisk.OpenAsync(paths[0]);
        using var chain = Open(paths);
        long end = 0;
        await foreach (var run in disk.GetExtentsAsync())
        {
            Assert.Equal(end, run.Offset);
            end += run.Length;
            foreach (var offset in Samples(run.Offset, run.Length, chain.SectorSize))
            {
                var (depth, fileOffset) = chain.Find(offset / chain.SectorSize);
                if (run.IsZero)
                {
                    // A hole of the file is zeros too: then only the bytes can tell.
                    Assert.True(fileOffset < 0 || chain.ReadSector(offset / chain.SectorSize).All(value => value == 0), $"Offset {offset} of {paths[0]} is not zero.");
                }
                else
                {
                    Assert.Equal((depth, fileOffset), (run.Depth, run.StorageOffset + (offset - run.Offset)));
                }
            }
        }

        Assert.Equal(disk.Length, end);
    }

    /// <summary>qemu-img finds no errors, and sees the model. It refuses sectors of 4096 bytes and differencing disks.</summary>
    public static void Qemu(SparseModel model, string path)
    {
        QemuImg.Require();
        QemuImg.Run("check", "-f", "vhdx", path);
        using var info = JsonDocument.Parse(QemuImg.Run("info", "-f", "vhdx", "--output=json", path).Output);
        Assert.Equal(model.Length, info.RootElement.GetProperty("virtual-size").GetInt64());
        using var folder = new TempFolder();
        if (model.Length <= LargestComparison)
        {
            model.WriteRaw(folder["model.raw"]);
            QemuImg.Run("compare", "-f", "vhdx", "-F", "raw", path, folder["model.raw"]);
            return;
        }

        foreach (var (offset, count) in Ranges(model))
        {
            QemuImg.Run("dd", "-f", "vhdx", "-O", "raw", "bs=512", $"skip={offset / 512}", $"count={(offset + count) / 512}", "if=" + path, "of=" + folder["part.raw"]);
            Assert.True(File.ReadAllBytes(folder["part.raw"]).AsSpan(0, count).SequenceEqual(model.Read(offset, count)), $"qemu-img sees other {count} bytes at {offset} of {path}.");
        }
    }

    /// <summary>libvhdi sees the model. It finds a parent by its absolute path alone.</summary>
    public static void Libvhdi(SparseModel model, string path)
    {
        using var mount = LibvhdiMount.Of(path);
        using var content = mount.OpenLeaf();
        Assert.Equal(model.Length, content.Length);
        foreach (var (offset, count) in Ranges(model))
        {
            Assert.True(PlainBytes.Read(content, offset, count).AsSpan().SequenceEqual(model.Read(offset, count)), $"libvhdi sees other {count} bytes at {offset} of {path}.");
        }
    }

    private static PlainVhdxChain Open(string[] paths) => PlainVhdxChain.Open([.. paths.Select(path => (Stream)File.OpenRead(path))]);

    // Begin, end and middle of a run, in whole sectors; all sectors of a short one.
    private static IEnumerable<long> Samples(long offset, long length, int sectorSize)
    {
        var first = (offset + sectorSize - 1) / sectorSize;
        var last = (offset + length - 1) / sectorSize;
        var step = Math.Max(1, (last - first) / 5);
        for (var sector = first; sector <= last; sector += step)
        {
            yield return sector * sectorSize;
        }
    }

    /// <summary>What was ever written, and 4 KiB on both sides of it; of a small disk everything. Whole 512-byte sectors.</summary>
    private static IEnumerable<(long Offset, int Count)> Ranges(SparseModel model)
    {
        if (model.Length <= WholeLength)
        {
            for (long offset = 0; offset < model.Length; offset += 1 << 16)
            {
                yield return (offset, (int)Math.Min(1 << 16, model.Length - offset));
            }

            yield break;
        }

        long start = -1;
        long end = -1;
        foreach (var sector in model.Sectors)
        {
            if (start >= 0 && sector * 512 > end + 4096)
            {
                yield return (start, (int)(end - start));
                start = -1;
            }

            start = start < 0 ? Math.Max(0, (sector * 512) - 4096) : start;
            end = Math.Min(model.Length, (sector * 512) + 512 + 4096);
        }

        if (start >= 0)
        {
            yield return (start, (int)(end - start));
        }
    }
}
