using System.Security.Cryptography;
using VhdCore.Interop.Generators;
using VhdCore.Interop.Peers;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Samples;

/// <summary>samples/images/xen-chain is what its generator makes. With VHDKIT_UPDATE_SAMPLES=1 the files are written instead of compared.</summary>
public sealed class XenChainTests
{
    private static readonly string Folder = Path.Combine(RepositoryFiles.Root, "samples", "images", "xen-chain");

    public static TheoryData<string> Names => ["base", "snap", "leaf"];

    [Fact]
    public void The_checked_in_images_are_what_the_generator_makes()
    {
        var update = Environment.GetEnvironmentVariable("VHDKIT_UPDATE_SAMPLES") == "1";
        foreach (var image in XenChainGenerator.Make())
        {
            var path = Path.Combine(Folder, image.FileName);
            if (update)
            {
                Directory.CreateDirectory(Folder);
                File.WriteAllBytes(path, image.Build());
            }

            Assert.Equal(image.Build(), File.ReadAllBytes(path));
        }

        var sums = Path.Combine(Folder, "leaf.sha256");
        var line = $"{Convert.ToHexStringLower(SHA256.HashData(XenChainGenerator.Make()[2].Content()))}  out.raw\n";
        if (update)
        {
            File.WriteAllText(sums, line);
        }

        Assert.Equal(line, File.ReadAllText(sums));
    }

    [Fact]
    public void The_whole_chain_stays_small() =>
        Assert.InRange(Directory.EnumerateFiles(Folder).Sum(path => new FileInfo(path).Length), 1, 8 << 20);

    [Theory]
    [MemberData(nameof(Names))]
    public void The_independent_reader_sees_what_was_put_in(string name)
    {
        var image = XenChainGenerator.Make().Single(image => image.FileName == name + ".vhd");
        using var chain = PlainChain.OpenFile(Path.Combine(Folder, image.FileName));
        Assert.Equal(image.Content(), chain.ReadAll());
        Assert.Equal(name != "leaf", chain.Images[0].IsHidden);
        Assert.True(chain.Images[0].HasGoodFooterAtTheEnd);
    }

    [Fact]
    public void Libvhdi_sees_the_same_but_for_its_own_way_with_bitmaps()
    {
        using var mount = LibvhdiMount.Of(Path.Combine(Folder, "leaf.vhd"));
        var disks = mount.Disks();
        Assert.Equal(3, disks.Count);
        foreach (var (image, disk) in XenChainGenerator.Make().Zip(disks))
        {
            using var chain = PlainChain.OpenFile(Path.Combine(Folder, image.FileName), PlainRules.LikeLibvhdi);
            Assert.Equal(chain.ReadAll(), File.ReadAllBytes(disk));
        }
    }

    [Fact]
    public void Qemu_sees_the_base()
    {
        QemuImg.Require();
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["base.raw"], XenChainGenerator.Make()[0].Content());
        QemuImg.AssertSameContent(Path.Combine(Folder, "base.vhd"), folder["base.raw"]);
        Assert.Equal(XenChainGenerator.VirtualSize, QemuImg.VirtualSize(Path.Combine(Folder, "base.vhd")));
    }
}
