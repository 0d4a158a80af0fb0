using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCli.Tests;

/// <summary>What the verbs print of a VHDX.</summary>
public sealed class VhdxVerbTests
{
    [Fact]
    public async Task Info_prints_a_line_for_everything_the_image_says()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", "--block-size=1M", "--uuid", "5a0c7f3e-0d0f-4b44-8a53-2f0c4be1b1a9", folder["base.vhdx"], "4M")).EnsureSuccess();
        (await Cli.RunAsync("create", "-q", "-b", folder["base.vhdx"], "--block-size=1M", folder["leaf.vhdx"])).EnsureSuccess();
        (await Cli.RunAsync(["write", folder["leaf.vhdx"], "--offset", "1M"], [1])).EnsureSuccess();
        var text = (await Cli.RunAsync("info", folder["leaf.vhdx"])).EnsureSuccess().Output;
        foreach (var line in new[]
        {
            "file format: vhdx", "virtual size: 4 MiB (4194304 bytes)", "cluster_size: 1048576", $"backing file: {folder["base.vhdx"]}",
            "    subformat: differencing", "    creator: VhdKit", "    sector size: 512 logical, 4096 physical", "    disk id (page 83): 5a0c7f3e-0d0f-4b44-8a53-2f0c4be1b1a9",
            "    headers: 5, 6 (current)", "    log: 1048576 bytes at 1048576, clean", "    blocks: 4 in all, 3 not present, 1 partially present",
            @"    parent locator relative_path: .\base.vhdx",
        })
        {
            Assert.Contains("\n" + line + "\n", text, StringComparison.Ordinal);
        }

        var images = (await Cli.RunAsync("info", "--backing-chain", "--output=json", folder["leaf.vhdx"])).EnsureSuccess().Json;
        Assert.Equal(2, images.GetArrayLength());
        var data = images[0].GetProperty("format-specific").GetProperty("data");
        Assert.Equal("clean", data.GetProperty("log").GetProperty("state").GetString());
        Assert.Equal(1, data.GetProperty("blocks").GetProperty("partially-present").GetInt64());
        Assert.Equal(
            "{" + images[1].GetProperty("format-specific").GetProperty("data").GetProperty("data-write-guid").GetString() + "}",
            data.GetProperty("parent-locator").GetProperty("parent_linkage").GetString());
        Assert.Equal("vhdx", images[0].GetProperty("backing-filename-format").GetString());
        Assert.False(images[0].GetProperty("dirty-flag").GetBoolean());
    }

    [Fact]
    public async Task Info_describes_a_refused_image_and_says_why()
    {
        using var folder = new TempFolder();
        var plain = new PlainVhdxBuilder { Creator = "Plain\u001b[31m \ud800 builder" };
        var bytes = plain.Build();
        bytes[plain.MetadataOffset] ^= 1;
        File.WriteAllBytes(folder["a.vhdx"], bytes);
        var text = (await Cli.RunAsync("info", folder["a.vhdx"])).EnsureSuccess();
        Assert.Contains("virtual size: unknown\n", text.Output, StringComparison.Ordinal);
        Assert.Contains("    headers: 7, 8 (current)\n", text.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("\u001b", text.Output, StringComparison.Ordinal);
        Assert.Contains("refused: ", text.Error, StringComparison.Ordinal);
        var json = (await Cli.RunAsync("info", "--output=json", folder["a.vhdx"])).EnsureSuccess().Json;
        Assert.True(json.GetProperty("refused").GetBoolean());
        Assert.False(json.GetProperty("format-specific").GetProperty("data").TryGetProperty("subformat", out _));
    }

    [Fact]
    public async Task Info_prints_a_locator_of_odd_texts_whole()
    {
        using var folder = new TempFolder();
        var plain = new PlainVhdxBuilder { Locator = [("parent_linkage", "nonsense \ud800"), ("relative_path", "\ud801.vhdx"), ("\udc00 own", "\u0007")] };
        File.WriteAllBytes(folder["a.vhdx"], plain.Build());
        (await Cli.RunAsync("info", folder["a.vhdx"])).EnsureSuccess();
        var locator = (await Cli.RunAsync("info", "--output=json", folder["a.vhdx"])).EnsureSuccess().Json.GetProperty("format-specific").GetProperty("data").GetProperty("parent-locator");
        Assert.Equal(3, locator.EnumerateObject().Count());
    }
}
