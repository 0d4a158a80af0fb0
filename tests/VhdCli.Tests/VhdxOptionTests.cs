using System.Text.Json;
using VhdCore.Testing;

namespace VhdCli.Tests;

/// <summary>What can be chosen of a new VHDX.</summary>
public sealed class VhdxOptionTests
{
    [Theory]
    [InlineData("--block-size=1M", 1 << 20, 512, 4096, 1 << 20)]
    [InlineData("--block-size=256M --log-size=3M", 256 << 20, 512, 4096, 3 << 20)]
    [InlineData("--logical-sector-size=4k", 32 << 20, 4096, 4096, 1 << 20)]
    [InlineData("--logical-sector-size 512 --physical-sector-size 512", 32 << 20, 512, 512, 1 << 20)]
    [InlineData("-o block_size=2M,log_size=1G,logical_sector_size=4096,physical_sector_size=512", 2 << 20, 4096, 512, 1 << 30)]
    [InlineData("-o block_size=0,block_state_zero=on", 32 << 20, 512, 4096, 1 << 20)]
    public async Task What_is_asked_for_stands_in_the_image(string options, int blockSize, int logicalSectorSize, int physicalSectorSize, long logSize)
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync(["create", "-q", .. options.Split(' '), folder["a.vhdx"], "100M"])).EnsureSuccess();
        await ExpectAsync(folder["a.vhdx"], blockSize, logicalSectorSize, physicalSectorSize, logSize);
        Images.WriteRaw(folder["a.raw"], 9 * Images.MiB);
        (await Cli.RunAsync(["convert", "-q", "-f", "raw", .. options.Split(' '), "--verify", folder["a.raw"], folder["b.vhdx"]])).EnsureSuccess();
        await ExpectAsync(folder["b.vhdx"], blockSize, logicalSectorSize, physicalSectorSize, logSize);
    }

    [Theory]
    [InlineData("a.vhdx", "--block-size=3M", "power of two")]
    [InlineData("a.vhdx", "--block-size=512k", "1M to 256M")]
    [InlineData("a.vhdx", "--block-size=512M", "1M to 256M")]
    [InlineData("a.vhdx", "--block-size=nothing", "Invalid size")]
    [InlineData("a.vhdx", "--logical-sector-size=1024", "512 or 4096")]
    [InlineData("a.vhdx", "--physical-sector-size=0", "512 or 4096")]
    [InlineData("a.vhdx", "--log-size=0", "1M up to 1G")]
    [InlineData("a.vhdx", "--log-size=1536k", "1M up to 1G")]
    [InlineData("a.vhdx", "--log-size=2G", "1M up to 1G")]
    [InlineData("a.vhdx", "--chs-compat", "VHD images")]
    [InlineData("a.vhdx", "-o force_size=on", "-o help")]
    [InlineData("a.vhdx", "-o block_state_zero=perhaps", "'on' or 'off'")]
    [InlineData("a.vhdx", "--uuid=00000000-0000-0000-0000-000000000000", "all zeros")]
    [InlineData("a.vhd", "--logical-sector-size=4096", "VHDX images only")]
    [InlineData("a.vhd", "--physical-sector-size=4096", "VHDX images only")]
    [InlineData("a.vhd", "--log-size=1M", "VHDX images only")]
    [InlineData("a.raw", "--block-size=1M", "no blocks")]
    [InlineData("a.raw", "--log-size=1M", "VHDX images only")]
    [InlineData("a.raw", "--chs-compat", "VHD images")]
    public async Task What_cannot_be_is_refused_in_words_before_there_is_a_file(string name, string options, string words)
    {
        using var folder = new TempFolder();
        var result = (await Cli.RunAsync(["create", "-q", .. options.Split(' '), folder[name], "10M"])).EnsureExit(1);
        Assert.Contains(words, result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("internal error", result.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_child_has_its_parents_sectors_and_can_have_no_others()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", "--logical-sector-size=4096", "--physical-sector-size=4096", folder["base.vhdx"], "10M")).EnsureSuccess();
        (await Cli.RunAsync("create", "-q", "-b", folder["base.vhdx"], "--block-size=4M", "--log-size=2M", folder["child.vhdx"])).EnsureSuccess();
        await ExpectAsync(folder["child.vhdx"], 4 << 20, 4096, 4096, 2 << 20);
        (await Cli.RunAsync("create", "-q", "-b", folder["child.vhdx"], "--physical-sector-size=512", folder["leaf.vhdx"])).EnsureSuccess();
        await ExpectAsync(folder["leaf.vhdx"], 2 << 20, 4096, 512, 1 << 20);
        var result = (await Cli.RunAsync("create", "-q", "-b", folder["base.vhdx"], "--logical-sector-size=512", folder["other.vhdx"])).EnsureExit(1);
        Assert.Contains("logical sectors of 4096 bytes", result.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["other.vhdx"]));
    }

    [Fact]
    public async Task A_copy_keeps_the_sectors_and_says_so_where_it_cannot()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", "--logical-sector-size=4096", "--physical-sector-size=4096", folder["a.vhdx"], "10M")).EnsureSuccess();
        Assert.Empty((await Cli.RunAsync("convert", "-q", folder["a.vhdx"], folder["b.vhdx"])).EnsureSuccess().Error);
        await ExpectAsync(folder["b.vhdx"], 32 << 20, 4096, 4096, 1 << 20);
        foreach (var (name, option) in new[] { ("c.vhdx", "--logical-sector-size=512"), ("c.vhd", "--block-size=2M") })
        {
            var result = (await Cli.RunAsync("convert", "-q", option, folder["a.vhdx"], folder[name])).EnsureSuccess();
            Assert.Contains("logical sectors of 4096 bytes", result.Error, StringComparison.Ordinal);
        }

        File.WriteAllBytes(folder["odd.raw"], new byte[(1 << 20) + 512]);
        var rounded = (await Cli.RunAsync("convert", "-q", "--logical-sector-size=4096", folder["odd.raw"], folder["d.vhdx"])).EnsureSuccess();
        Assert.Contains("the target has 1052672", rounded.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--block-size=1M")]
    [InlineData("--block-size=8M --log-size=5M")]
    [InlineData("-o subformat=fixed,log_size=2M")]
    public async Task Measure_takes_them_into_account(string options)
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 21 * Images.MiB);
        (await Cli.RunAsync("convert", "-q", "-f", "raw", "--block-size=1M", folder["a.raw"], folder["b.vhdx"])).EnsureSuccess();
        (await Cli.RunAsync(["convert", "-q", .. options.Split(' '), folder["b.vhdx"], folder["c.vhdx"]])).EnsureSuccess();
        var measured = (await Cli.RunAsync(["measure", "-O", "vhdx", .. options.Split(' '), "--output=json", folder["b.vhdx"]])).EnsureSuccess().Json;
        Assert.Equal(new FileInfo(folder["c.vhdx"]).Length, measured.GetProperty("required").GetInt64());
    }

    [Fact]
    public async Task Help_recommends_a_block_size_and_says_why()
    {
        foreach (var verb in new[] { "create", "convert" })
        {
            var help = (await Cli.RunAsync(verb, "--help")).EnsureSuccess().Output;
            Assert.Contains("For Linux guests give a VHDX --block-size=1M", help, StringComparison.Ordinal);
            Assert.Contains("25 times smaller", help, StringComparison.Ordinal);
        }

        Assert.Contains("25 times smaller", (await Cli.RunAsync("create", "-f", "vhdx", "-o", "help", "x")).EnsureSuccess().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_largest_disk_in_the_smallest_blocks_can_be_made_and_written()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", "--block-size=1M", folder["a.vhdx"], "64T")).EnsureSuccess();
        (await Cli.RunAsync(["write", folder["a.vhdx"], "--offset", $"{(64L << 40) - 3}"], [1, 2, 3])).EnsureSuccess();
        Assert.Equal([0, 1, 2, 3], (await Cli.RunAsync("read", folder["a.vhdx"], "--offset", $"{(64L << 40) - 4}")).EnsureSuccess().Bytes);
    }

    private static async Task ExpectAsync(string path, int blockSize, int logicalSectorSize, int physicalSectorSize, long logSize)
    {
        var info = (await Cli.RunAsync("info", "--output=json", path)).EnsureSuccess().Json;
        var data = info.GetProperty("format-specific").GetProperty("data");
        Assert.Equal(blockSize, info.GetProperty("cluster-size").GetInt32());
        Assert.Equal(logicalSectorSize, data.GetProperty("logical-sector-size").GetInt32());
        Assert.Equal(physicalSectorSize, data.GetProperty("physical-sector-size").GetInt32());
        Assert.Equal(logSize, data.GetProperty("log").GetProperty("length").GetInt64());
        Assert.Equal(JsonValueKind.Object, data.GetProperty("blocks").ValueKind);
    }
}
