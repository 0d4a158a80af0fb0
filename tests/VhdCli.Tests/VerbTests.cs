using System.Text;
using VhdCore.Testing;

namespace VhdCli.Tests;

public sealed class VerbTests
{
    [Fact]
    public async Task Info_of_a_chain_is_an_array_from_the_leaf_to_the_root()
    {
        var images = (await Cli.RunAsync("info", "--backing-chain", "--output=json", Images.ChainLeaf)).EnsureSuccess().Json;
        Assert.Equal(3, images.GetArrayLength());
        Assert.EndsWith("snap.vhd", images[0].GetProperty("full-backing-filename").GetString(), StringComparison.Ordinal);
        Assert.Equal("vhd", images[0].GetProperty("backing-filename-format").GetString());
        Assert.Equal("vhd", images[0].GetProperty("format-specific").GetProperty("type").GetString());
        Assert.Equal("differencing", images[1].GetProperty("format-specific").GetProperty("data").GetProperty("subformat").GetString());
        Assert.EndsWith("base.vhd", images[2].GetProperty("filename").GetString(), StringComparison.Ordinal);
        Assert.False(images[2].TryGetProperty("backing-filename", out _));

        var text = (await Cli.RunAsync("info", "--backing-chain", Images.ChainLeaf)).EnsureSuccess().Output;
        Assert.Equal(3, text.Split("\nimage: ").Length);
        Assert.Contains("parent locator W2ru: ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Info_describes_what_opening_refuses_and_says_why_on_stderr()
    {
        using var folder = new TempFolder();
        File.Copy(Images.ChainLeaf, folder["leaf.vhd"]); // its parents stay behind
        var result = (await Cli.RunAsync("info", "--output=json", folder["leaf.vhd"])).EnsureSuccess();
        Assert.True(result.Json.GetProperty("refused").GetBoolean());
        Assert.Contains("refused: ", result.Error, StringComparison.Ordinal);
        (await Cli.RunAsync("map", folder["leaf.vhd"])).EnsureExit(1);
    }

    [Fact]
    public async Task Map_names_the_image_of_the_chain_that_answers()
    {
        var runs = (await Cli.RunAsync("map", "--output=json", Images.ChainLeaf)).EnsureSuccess().Json.EnumerateArray().ToArray();
        Assert.Equal([0, 1, 2], runs.Select(run => run.GetProperty("depth").GetInt32()).Distinct().Order());
        long end = 0;
        foreach (var run in runs)
        {
            Assert.Equal(end, run.GetProperty("start").GetInt64());
            end += run.GetProperty("length").GetInt64();
            Assert.NotEqual(run.GetProperty("zero").GetBoolean(), run.GetProperty("data").GetBoolean());
        }

        Assert.Equal(16 * Images.MiB, end);
        var text = (await Cli.RunAsync("map", Images.ChainLeaf)).EnsureSuccess().Output;
        Assert.Contains("snap.vhd\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hash_is_that_of_the_content_and_the_tree_s_is_the_document_s()
    {
        Assert.Equal($"{Images.ChainLeafHash}  {Images.ChainLeaf}\n", (await Cli.RunAsync("hash", Images.ChainLeaf)).EnsureSuccess().Output);
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["z.vhd"], "5M")).EnsureSuccess();
        var tree = (await Cli.RunAsync("hash", "--tree", "--output=json", folder["z.vhd"])).EnsureSuccess().Json;
        Assert.Equal("5badb7420434cd1538e4a83b483c69f22f9c7439ee4a5cd47113c2b089211525", tree.GetProperty("hash").GetString());
        Assert.Equal(5 * Images.MiB, tree.GetProperty("virtual-size").GetInt64());
    }

    [Fact]
    public async Task Read_and_write_take_files_and_standard_streams_at_any_offset()
    {
        using var folder = new TempFolder();
        var hello = Encoding.UTF8.GetBytes("hello, disk");
        File.WriteAllBytes(folder["in.bin"], hello);
        (await Cli.RunAsync("create", "-q", folder["a.vhd"], "4M")).EnsureSuccess();
        (await Cli.RunAsync("write", folder["a.vhd"], "--offset", "2097149", "--in", folder["in.bin"])).EnsureSuccess(); // across a block's end
        (await Cli.RunAsync(["write", folder["a.vhd"], "--length", "3"], [7, 8, 9, 10])).EnsureSuccess();
        (await Cli.RunAsync("read", folder["a.vhd"], "--offset", "2097149", "--length", "11", "--out", folder["out.bin"])).EnsureSuccess();
        Assert.Equal(hello, File.ReadAllBytes(folder["out.bin"]));
        Assert.Equal([7, 8, 9, 0], (await Cli.RunAsync("read", folder["a.vhd"], "--length", "4")).EnsureSuccess().Bytes);
        Assert.Equal(4 * Images.MiB, (await Cli.RunAsync("read", folder["a.vhd"])).EnsureSuccess().Bytes.Length);
        Assert.Equal((4 * Images.MiB) - 5, (await Cli.RunAsync("read", folder["a.vhd"], "--offset", "5")).EnsureSuccess().Bytes.Length);

        (await Cli.RunAsync("read", folder["a.vhd"], "--offset", "4M", "--length", "1")).EnsureExit(1);
        (await Cli.RunAsync("read", folder["a.vhd"], "--offset", "5M")).EnsureExit(1);
        (await Cli.RunAsync(["write", folder["a.vhd"], "--offset", "4194303"], [1, 2])).EnsureExit(1);
        (await Cli.RunAsync(["write", folder["a.vhd"], "--length", "9"], [1, 2])).EnsureExit(1);
        Assert.Equal([1, 2, 9], (await Cli.RunAsync("read", folder["a.vhd"], "--length", "3")).Bytes);
    }

    [Fact]
    public async Task Read_never_writes_over_the_image_or_its_parents()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["base.vhd"], "1M")).EnsureSuccess();
        (await Cli.RunAsync("create", "-q", "-b", folder["base.vhd"], folder["leaf.vhd"])).EnsureSuccess();
        var before = (Images.HashOf(folder["base.vhd"]), Images.HashOf(folder["leaf.vhd"]));
        (await Cli.RunAsync("read", folder["leaf.vhd"], "--out", folder["leaf.vhd"])).EnsureExit(1);
        (await Cli.RunAsync("read", folder["leaf.vhd"], "--out", folder["base.vhd"])).EnsureExit(1);
        Assert.Equal(before, (Images.HashOf(folder["base.vhd"]), Images.HashOf(folder["leaf.vhd"])));
    }

    [Fact]
    public async Task Writing_a_child_leaves_its_parent_alone()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["base.vhd"], "4M")).EnsureSuccess();
        (await Cli.RunAsync(["write", folder["base.vhd"]], Encoding.UTF8.GetBytes("base"))).EnsureSuccess();
        var before = Images.HashOf(folder["base.vhd"]);
        var created = (await Cli.RunAsync("create", "-b", folder["base.vhd"], "-F", "vpc", "-f", "vhd", folder["leaf.vhd"])).EnsureSuccess();
        Assert.Equal($"Formatting '{folder["leaf.vhd"]}', fmt=vhd size=4194304 backing_file={folder["base.vhd"]} backing_fmt=vhd\n", created.Output);
        (await Cli.RunAsync(["write", folder["leaf.vhd"], "--offset", "1"], Encoding.UTF8.GetBytes("u"))).EnsureSuccess();
        Assert.Equal("buse", (await Cli.RunAsync("read", folder["leaf.vhd"], "--length", "4")).EnsureSuccess().Output);
        Assert.Equal(before, Images.HashOf(folder["base.vhd"]));
        (await Cli.RunAsync("read", "--no-parent", folder["leaf.vhd"], "--length", "4")).EnsureExit(1);
        (await Cli.RunAsync("read", "--parent-root", folder.Path, folder["leaf.vhd"], "--length", "4")).EnsureSuccess();
    }

    [Fact]
    public async Task Create_over_a_file_replaces_it_and_o_help_lists_the_options()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["a.vhd"], "old");
        (await Cli.RunAsync("create", "-q", folder["a.vhd"], "--size", "1M")).EnsureSuccess();
        Assert.Equal(Images.MiB, (await Cli.RunAsync("info", "--output=json", folder["a.vhd"])).Json.GetProperty("virtual-size").GetInt64());
        Assert.Contains("subformat", (await Cli.RunAsync("create", "-f", "vhd", "-o", "help", folder["x.vhd"])).EnsureSuccess().Output, StringComparison.Ordinal);
        Assert.Contains("preallocation", (await Cli.RunAsync("create", "-f", "raw", "-o", "help", folder["x.raw"])).EnsureSuccess().Output, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["x.vhd"]));
    }

    [Theory]
    [InlineData("3000G")]
    [InlineData("1M", "-o", "block_size=1G")]
    public async Task A_size_that_cannot_be_is_refused_by_the_image_s_own_name(string size, params string[] extra)
    {
        using var folder = new TempFolder();
        var result = (await Cli.RunAsync(["create", "-q", .. extra, folder["a.vhd"], size])).EnsureExit(1);
        Assert.StartsWith($"vhdkit: {folder["a.vhd"]}: ", result.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_geometry_s_size_is_used_only_when_asked_for()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["exact.vhd"], "1G")).EnsureSuccess();
        (await Cli.RunAsync("create", "-q", "--chs-compat", folder["chs.vhd"], "1G")).EnsureSuccess();
        Assert.Equal(1L << 30, (await Cli.RunAsync("info", "--output=json", folder["exact.vhd"])).Json.GetProperty("virtual-size").GetInt64());
        Assert.Equal(1073995776, (await Cli.RunAsync("info", "--output=json", folder["chs.vhd"])).Json.GetProperty("virtual-size").GetInt64());
        Assert.Equal(
            1073479680,
            (await Cli.RunAsync("info", "--output=json", "--force-size=chs", folder["exact.vhd"])).Json.GetProperty("virtual-size").GetInt64());
    }

    [Theory]
    [InlineData("subformat=dynamic")]
    [InlineData("subformat=fixed")]
    public async Task Measure_says_beforehand_how_long_the_file_becomes(string options)
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 21 * Images.MiB);
        (await Cli.RunAsync("convert", "-q", "-O", "vhd", folder["a.raw"], folder["b.vhd"])).EnsureSuccess();
        var required = (await Cli.RunAsync("measure", "-O", "vhd", "-o", options, "--output=json", folder["b.vhd"])).EnsureSuccess().Json.GetProperty("required").GetInt64();
        (await Cli.RunAsync("convert", "-q", "-O", "vhd", "-o", options, folder["b.vhd"], folder["c.vhd"])).EnsureSuccess();
        Assert.Equal(required, new FileInfo(folder["c.vhd"]).Length);
        var empty = (await Cli.RunAsync("measure", "-O", "vhd", "-o", options, "--size", "21M")).EnsureSuccess().Output;
        Assert.StartsWith("required size: ", empty, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_of_a_sound_image_says_so_in_qemu_img_s_words()
    {
        var result = (await Cli.RunAsync("check", Images.ChainLeaf)).EnsureSuccess();
        Assert.Contains("No errors were found on the image.\n", result.Output, StringComparison.Ordinal);
        Assert.Contains("4/32 = 12.50% allocated", result.Output, StringComparison.Ordinal);
        Assert.Empty((await Cli.RunAsync("check", "-q", Images.ChainLeaf)).EnsureSuccess().Output);
    }

    [Fact]
    public async Task Check_lists_every_corruption_and_exits_with_2()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["a.vhd"], "8M")).EnsureSuccess();
        (await Cli.RunAsync(["write", folder["a.vhd"]], [1])).EnsureSuccess();
        (await Cli.RunAsync(["write", folder["a.vhd"], "--offset", "2M"], [1])).EnsureSuccess();
        var bytes = File.ReadAllBytes(folder["a.vhd"]);
        bytes.AsSpan(4096, 4).CopyTo(bytes.AsSpan(4100)); // two entries, one block
        bytes[512 + 100] ^= 0xFF; // and the header's checksum does not hold
        File.WriteAllBytes(folder["a.vhd"], bytes);
        var text = (await Cli.RunAsync("check", folder["a.vhd"])).EnsureExit(2);
        Assert.Contains("errors were found on the image.\nData may be corrupted", text.Output, StringComparison.Ordinal);
        var json = (await Cli.RunAsync("check", "--output=json", folder["a.vhd"])).EnsureExit(2).Json;
        var ids = json.GetProperty("findings").EnumerateArray().Select(finding => finding.GetProperty("id").GetString()).ToArray();
        Assert.Contains("VHD-BAT-OVERLAP", ids);
        Assert.True(json.GetProperty("corruptions").GetInt64() >= 2);
        Assert.All(ids, id => Assert.Contains(id!, text.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Check_of_a_raw_image_has_nothing_to_check()
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], Images.MiB);
        Assert.Contains("does not support checks", (await Cli.RunAsync("check", "-f", "raw", folder["a.raw"])).EnsureExit(63).Error, StringComparison.Ordinal);
    }
}
