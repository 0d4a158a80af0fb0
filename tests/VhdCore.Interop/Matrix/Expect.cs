using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Interop.Peers;
using VhdCore.Operations;
using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Matrix;

/// <summary>Holds what each reader sees against the model. Of huge disks, what the model or the reader's tables say is there.</summary>
internal static class Expect
{
    private const long WholeLength = 8L << 20; // bytes; up to here everything is compared

    /// <summary>The independent reader sees the model.</summary>
    public static void Independent(SparseModel model, string path, PlainRules? rules = null)
    {
        using var chain = PlainChain.OpenFile(path, rules);
        Assert.Equal(model.Length, chain.Length);
        Assert.True(chain.Images[0].HasGoodFooterAtTheEnd, "No footer at the end.");
        foreach (var sector in SectorsToCompare(model, chain))
        {
            Assert.True(chain.ReadSector(sector).AsSpan().SequenceEqual(model.ReadSector(sector)), $"Sector {sector} of {path} differs.");
        }
    }

    /// <summary>Our own check finds nothing wrong and nothing odd.</summary>
    /// <param name="path">The image.</param>
    /// <param name="mayLeak">Places of blocks may be free: some were given up, or blocks are smaller than what aligning them leaves unused.</param>
    public static async Task SoundAsync(string path, bool mayLeak = false)
    {
        var report = await CheckOperation.RunAsync(path);
        Assert.Empty(report.Findings.Where(finding => finding.Severity != CheckSeverity.Note && !(mayLeak && finding.Severity == CheckSeverity.Leak)).Select(finding => $"{finding.Id}: {finding.Message}"));
    }

    /// <summary>libvhdi sees what the independent reader sees in libvhdi's way, which is the model wherever bitmaps change only between bytes.</summary>
    public static void Libvhdi(SparseModel model, string path, bool sectorsAreWholeBytes)
    {
        using var mount = LibvhdiMount.Of(path);
        using var content = mount.OpenLeaf();
        using var chain = PlainChain.OpenFile(path, PlainRules.LikeLibvhdi);
        Assert.Equal(model.Length, content.Length);
        foreach (var sector in SectorsToCompare(model, chain))
        {
            var bytes = PlainBytes.Read(content, sector * 512, 512);
            Assert.True(bytes.AsSpan().SequenceEqual(chain.ReadSector(sector)), $"libvhdi and the independent reader differ on sector {sector} of {path}.");
            if (sectorsAreWholeBytes)
            {
                Assert.True(bytes.AsSpan().SequenceEqual(model.ReadSector(sector)), $"libvhdi sees another sector {sector} of {path}.");
            }
        }
    }

    /// <summary>qemu-img sees the model, byte for byte and to the same size.</summary>
    public static void Qemu(SparseModel model, string path, string rawPath)
    {
        QemuImg.Require();
        if (!File.Exists(rawPath))
        {
            model.WriteRaw(rawPath);
        }

        Assert.Equal(model.Length, QemuImg.VirtualSize(path));
        QemuImg.AssertSameContent(path, rawPath);
        QemuImg.Run("map", "-f", "vpc", "--output=json", path);
    }

    /// <summary>The library sees the model, in pieces of odd sizes.</summary>
    public static async Task OursAsync(SparseModel model, string path, ImageOpenOptions? options = null)
    {
        await using var disk = await VirtualDisk.OpenAsync(path, options);
        await OursAsync(model, disk);
    }

    /// <summary>The library sees the model, in pieces of odd sizes.</summary>
    public static async Task OursAsync(SparseModel model, VirtualDisk disk)
    {
        Assert.Equal(model.Length, disk.Length);
        var buffer = new byte[70_001];
        if (model.Length <= WholeLength)
        {
            for (long offset = 0; offset < model.Length; offset += buffer.Length)
            {
                var piece = buffer.AsMemory(0, (int)Math.Min(buffer.Length, model.Length - offset));
                await disk.ReadAsync(offset, piece);
                Assert.True(piece.Span.SequenceEqual(model.Read(offset, piece.Length)), $"Something in {piece.Length} bytes at {offset} differs.");
            }

            return;
        }

        await foreach (var run in disk.GetExtentsAsync())
        {
            for (var offset = run.Offset; !run.IsZero && offset < run.Offset + run.Length; offset += buffer.Length)
            {
                var piece = buffer.AsMemory(0, (int)Math.Min(buffer.Length, run.Offset + run.Length - offset));
                await disk.ReadAsync(offset, piece);
                Assert.True(piece.Span.SequenceEqual(model.Read(offset, piece.Length)), $"Something in {piece.Length} bytes at {offset} differs.");
            }
        }

        foreach (var sector in model.Sectors)
        {
            var piece = buffer.AsMemory(0, 512);
            await disk.ReadAsync(sector * 512, piece);
            Assert.True(piece.Span.SequenceEqual(model.ReadSector(sector)), $"Sector {sector} differs.");
        }
    }

    private static IEnumerable<long> SectorsToCompare(SparseModel model, PlainChain chain)
    {
        if (model.Length <= WholeLength)
        {
            for (long sector = 0; sector < model.Length / 512; sector++)
            {
                yield return sector;
            }

            yield break;
        }

        foreach (var sector in model.Sectors)
        {
            yield return sector;
        }

        // Of each block that the file has, the sectors that the model does not know are zeros.
        if (chain.Images.All(image => image.Type != 2) && !chain.HasRawRoot)
        {
            foreach (var (first, count) in chain.PresentRanges())
            {
                for (var sector = first; sector < first + count; sector += 7)
                {
                    yield return sector;
                }
            }
        }
    }
}
