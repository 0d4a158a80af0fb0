using VhdCore.Interop.Samples;
using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Independent;

/// <summary>The independent reader is a judge only while it agrees with what other programs' images are known to hold.</summary>
public sealed class PlainReaderSampleTests
{
    [Theory]
    [InlineData("dfvfs-ext2.vhd", 4212736, "870be7ae16c1fa8faab05c6eb9205dc9a7ae35c5f552c5cf8a267c0bc6a5cb99")]
    [InlineData("xs-prealloc.vhd", 33554432, "89d1ccab7e330fec4a26d5140069268b06f27de6a1eca83fe90db9c887cd7d58")]
    [InlineData("xs-fixed.vhd", 4194304, "bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8")]
    public void Single_images_read_to_their_known_content(string name, long size, string hash)
    {
        using var samples = SampleFolder.With(name);
        using var chain = PlainChain.OpenFile(samples[name]);
        Assert.Equal(size, chain.Length);
        Assert.Equal(hash, chain.Hash());
    }

    [Theory]
    [InlineData("xs-base", 1, "006d69db590f5eea8481e6ecb3ecdfee9746e97d93d14cd98e961af55eede6a4")]
    [InlineData("xs-snap1", 2, "617c4483befdce42dc50233c1a22aa63d16d708f891e23a8920fec983ee386a1")]
    [InlineData("xs-snap2", 3, "b8b22cdf88266adc14cfc2650cd34b530c44c4eee1de3c96c6b216fc4cab2cdf")]
    public void Chains_of_libvhd_read_to_their_known_content(string name, int depth, string hash)
    {
        using var samples = SampleFolder.With("xs-base.vhd", "xs-snap1.vhd", "xs-snap2.vhd", name + ".raw");
        using var chain = PlainChain.OpenFile(samples[name + ".vhd"]);
        Assert.Equal(depth, chain.Images.Count);
        Assert.Equal(hash, chain.Hash());
        Assert.Equal(File.ReadAllBytes(samples[name + ".raw"]), chain.ReadAll());
    }

    [Fact]
    public void A_raw_root_is_read_where_the_child_has_nothing()
    {
        using var samples = SampleFolder.With("xs-rawchild.vhd", "xs-rawparent.raw", "xs-rawchild.raw");
        using var chain = PlainChain.OpenFile(samples["xs-rawchild.vhd"]);
        Assert.True(chain.HasRawRoot);
        Assert.Equal("0aede0163667ee3b3de9771c1a141bdf3e846e674f11b8b6636441b486f619fe", chain.Hash());
    }

    [Fact]
    public void A_wrong_checksum_is_refused_unless_ignored()
    {
        using var samples = SampleFolder.With("dfvfs-image.vhd");
        Assert.Throws<PlainFormatException>(() => PlainChain.OpenFile(samples["dfvfs-image.vhd"]).Dispose());
        using var chain = PlainChain.OpenFile(samples["dfvfs-image.vhd"], PlainRules.Default with { IgnoreFooterChecksum = true });
        Assert.Equal(104448, chain.Length);
        // libvhdi, and qemu-img once both checksums are mended, read this content.
        Assert.Equal("c6db12a7db548e193c29420c1b4533e4708b20c5033db5cc29ef075d48316d25", chain.Hash());
    }

    [Fact]
    public void An_empty_disk_of_127_GiB_has_its_current_size_and_nothing_in_it()
    {
        using var samples = SampleFolder.With("qemu-hyperv2012r2-dynamic.vhd");
        using var chain = PlainChain.OpenFile(samples["qemu-hyperv2012r2-dynamic.vhd"]);
        Assert.Equal(136365211648, chain.Length);
        Assert.Empty(chain.PresentRanges());
    }

    [Fact]
    public void A_child_made_by_Windows_shows_its_own_sectors_over_a_parent_of_that_identifier()
    {
        using var samples = SampleFolder.With("dfvfs-fat-differential.vhd", "dfvfs-ext2.vhd");
        File.WriteAllBytes(samples["fat-parent.vhd"], FatParent.Image(fill: 0x5A));
        using var chain = PlainChain.OpenFile(samples["dfvfs-fat-differential.vhd"]);
        using var alone = PlainChain.OpenFile(samples["dfvfs-fat-differential.vhd"], PlainRules.Default with { IgnoreParents = true });
        Assert.Equal(4194304, chain.Length);
        var own = Enumerable.Range(0, (int)chain.SectorCount).Where(sector => alone.Images[0].Has(sector)).ToArray();
        Assert.Equal([134, 143, .. Enumerable.Range(152, 8), 184, 185, 188, 190, 191, 192, 194, 196], own);
        var sector512 = Enumerable.Repeat((byte)0x5A, 512).ToArray();
        for (var sector = 0; sector < chain.SectorCount; sector++)
        {
            Assert.Equal(own.Contains(sector) ? alone.ReadSector(sector) : sector512, chain.ReadSector(sector));
        }
    }

    [Fact]
    public void A_disk_exported_by_xapi_has_all_of_its_current_size()
    {
        using var samples = SampleFolder.With("xapi-full.vhd");
        using var chain = PlainChain.OpenFile(samples["xapi-full.vhd"]);
        Assert.Equal(16777216, chain.Length);
        using var likeQemu = PlainChain.OpenFile(samples["xapi-full.vhd"], PlainRules.LikeQemu);
        Assert.Equal(chain.Hash(), likeQemu.Hash()); // every bit is set
    }

    [Fact]
    public void An_image_in_the_middle_of_a_resize_is_refused()
    {
        using var samples = SampleFolder.With("xs-poisoned.vhd");
        Assert.Throws<PlainFormatException>(() => PlainChain.OpenFile(samples["xs-poisoned.vhd"]).Dispose());
    }
}
