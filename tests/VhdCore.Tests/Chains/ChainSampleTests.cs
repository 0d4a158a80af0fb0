using System.Security.Cryptography;
using VhdCore.Errors;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Tests.Vhd;

namespace VhdCore.Tests.Chains;

/// <summary>Chains that other programs made.</summary>
public sealed class ChainSampleTests
{
    [Theory]
    [InlineData("xs-base.vhd", "006d69db590f5eea8481e6ecb3ecdfee9746e97d93d14cd98e961af55eede6a4")]
    [InlineData("xs-snap1.vhd", "617c4483befdce42dc50233c1a22aa63d16d708f891e23a8920fec983ee386a1")]
    [InlineData("xs-snap2.vhd", "b8b22cdf88266adc14cfc2650cd34b530c44c4eee1de3c96c6b216fc4cab2cdf")]
    public async Task A_XenServer_snapshot_chain_reads_as_documented(string name, string hash)
    {
        var resolver = Samples("xs-base.vhd", "xs-snap1.vhd", "xs-snap2.vhd");
        Assert.Equal(hash, Convert.ToHexStringLower(SHA256.HashData(await ChainImages.ReadAllAsync(resolver, "/sr/" + name))));
    }

    [Fact]
    public async Task A_XenServer_child_of_a_raw_file_reads_as_documented()
    {
        var resolver = Samples("xs-rawchild.vhd", "xs-rawparent.raw");
        var content = await ChainImages.ReadAllAsync(resolver, "/sr/xs-rawchild.vhd");
        Assert.Equal("0aede0163667ee3b3de9771c1a141bdf3e846e674f11b8b6636441b486f619fe", Convert.ToHexStringLower(SHA256.HashData(content)));
        Assert.Equal(VhdSamples.Read("xs-rawchild.raw"), content);
    }

    [Fact]
    public async Task A_Windows_child_finds_a_parent_that_has_moved_with_it()
    {
        var resolver = Samples("dfvfs-fat-differential.vhd");
        var parent = new PlainVhdBuilder
        {
            FileName = "fat-parent.vhd",
            Size = 4194304,
            Dialect = PlainDialect.Windows,
            UniqueId = Convert.FromHexString("5fa21a55f394aa4d99581951a67d5540"),
        }.PutText(0, 8192);
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await ChainImages.OpenAsync(resolver, "/sr/dfvfs-fat-differential.vhd"));
        Assert.Contains("'/Projects/dfvfs/test_data/fat-parent.vhd' does not exist", exception.Message, StringComparison.Ordinal);

        resolver.Add("/sr/fat-parent.vhd", parent.Build());
        var content = await ChainImages.ReadAllAsync(resolver, "/sr/dfvfs-fat-differential.vhd");

        // Seen in the child's bitmap: sector 134 is its own, its neighbours are not.
        Assert.Equal(parent.Content().AsSpan(133 * 512, 512), content.AsSpan(133 * 512, 512));
        Assert.Equal(parent.Content().AsSpan(135 * 512, 512), content.AsSpan(135 * 512, 512));
        Assert.NotEqual(parent.Content().AsSpan(134 * 512, 512).ToArray(), content.AsSpan(134 * 512, 512).ToArray());
    }

    [Theory]
    [InlineData("xs-poisoned.vhd")]
    [InlineData("xs-keyhash.vhd")]
    public async Task An_image_that_cannot_be_read_rightly_is_refused_for_reading_too(string name)
    {
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await ChainImages.OpenAsync(Samples(name), "/sr/" + name));
    }

    private static MemoryStorageResolver Samples(params ReadOnlySpan<string> names)
    {
        var resolver = new MemoryStorageResolver();
        foreach (var name in names)
        {
            resolver.Add("/sr/" + name, VhdSamples.Read(name));
        }

        return resolver;
    }
}
