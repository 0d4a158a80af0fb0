using System.Text.Json;
using VhdCore.Testing;

namespace VhdCli.Tests;

/// <summary>The same command lines, given to qemu-img and to this program.</summary>
public sealed class QemuTests
{
    [Theory]
    [InlineData("vpc", "subformat=dynamic")]
    [InlineData("vpc", "subformat=fixed,force_size=on")]
    [InlineData("raw", "")]
    public async Task Info_has_the_keys_and_values_of_qemu_img_s(string format, string options)
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        string[] extra = options.Length > 0 ? ["-o", options] : [];
        Qemu(["convert", "-f", "raw", "-O", format, .. extra, folder["a.raw"], folder["b"]]);
        var theirs = JsonDocument.Parse(Qemu("info", "-f", format, "--output=json", folder["b"])).RootElement;
        var ours = (await Cli.RunAsync("info", "-f", format, "--output=json", folder["b"])).EnsureSuccess().Json;
        foreach (var property in theirs.EnumerateObject())
        {
            Assert.True(ours.TryGetProperty(property.Name, out var value), $"{property.Name} is missing");
            if (property.Name != "format")
            {
                Assert.Equal(property.Value.GetRawText(), value.GetRawText());
            }
        }

        Assert.Equal(format == "vpc" ? "vhd" : "raw", ours.GetProperty("format").GetString());

        var theirText = Qemu("info", "-f", format, folder["b"]).Replace("file format: vpc", "file format: vhd", StringComparison.Ordinal);
        Assert.StartsWith(theirText, (await Cli.RunAsync("info", "-f", format, folder["b"])).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Map_of_a_dynamic_disk_is_qemu_img_s()
    {
        using var folder = new TempFolder();
        var content = new byte[9 * Images.MiB];
        new Random(1).NextBytes(content.AsSpan(2 * Images.MiB, 2 * Images.MiB));
        new Random(2).NextBytes(content.AsSpan(6 * Images.MiB, 2 * Images.MiB));
        File.WriteAllBytes(folder["a.raw"], content);
        Qemu("convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", folder["a.raw"], folder["b.vhd"]);
        foreach (var extra in new string[][] { [], ["--start-offset=1M", "--max-length=2M"], ["--start-offset=3M"] })
        {
            string[] json = ["map", "-f", "vpc", "--output=json", .. extra, folder["b.vhd"]];
            Assert.Equal(Qemu(json), (await Cli.RunAsync(json)).EnsureSuccess().Output);
            string[] human = ["map", "-f", "vpc", .. extra, folder["b.vhd"]];
            Assert.Equal(Qemu(human), (await Cli.RunAsync(human)).EnsureSuccess().Output);
        }
    }

    [Theory]
    [InlineData("a.raw", "a.raw")]
    [InlineData("a.raw", "changed.raw")]
    [InlineData("a.raw", "longer.raw")]
    [InlineData("longer.raw", "a.raw")]
    [InlineData("a.raw", "longer-data.raw")]
    [InlineData("a.raw", "missing.raw")]
    [InlineData("-s", "a.raw", "longer.raw")]
    [InlineData("-s", "a.raw", "changed.raw")]
    [InlineData("-s", "a.raw", "a.raw")]
    [InlineData("-q", "a.raw", "changed.raw")]
    public async Task Compare_says_and_exits_as_qemu_img(params string[] args)
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        File.WriteAllBytes(folder["longer.raw"], [.. content, .. new byte[Images.MiB]]);
        File.WriteAllBytes(folder["longer-data.raw"], [.. content, .. Enumerable.Repeat((byte)1, 512)]);
        content[1024] ^= 1;
        File.WriteAllBytes(folder["changed.raw"], content);
        string[] full = ["compare", "-f", "raw", "-F", "raw", .. args.Select(arg => arg.StartsWith('-') ? arg : folder[arg])];
        var theirs = Tools.Run("qemu-img", full);
        var ours = await Cli.RunAsync(full);
        Assert.Equal(theirs.Output, ours.Output);
        Assert.Equal(theirs.ExitCode, ours.ExitCode);
    }

    [Fact]
    public async Task Measure_of_raw_is_qemu_img_s()
    {
        string[] args = ["measure", "-O", "raw", "--size", "1.5G"];
        Assert.Equal(Qemu(args), (await Cli.RunAsync(args)).EnsureSuccess().Output);
        var theirs = JsonDocument.Parse(Qemu([.. args, "--output=json"])).RootElement;
        var ours = (await Cli.RunAsync([.. args, "--output=json"])).EnsureSuccess().Json;
        Assert.True(JsonElement.DeepEquals(theirs, ours));
    }

    [Theory]
    [InlineData("raw", "", "12M")]
    [InlineData("vpc", "", "12M")]
    [InlineData("vpc", "subformat=fixed,force_size=on", "1.5M")]
    public async Task Create_says_what_qemu_img_says_and_makes_what_qemu_img_reads(string format, string options, string size)
    {
        using var folder = new TempFolder();
        string[] extra = options.Length > 0 ? ["-o", options] : [];
        string[] args = ["create", "-f", format, .. extra, folder["x"], size];
        var theirs = Qemu(args).Replace("fmt=vpc", "fmt=vhd", StringComparison.Ordinal);
        Assert.Equal(theirs, (await Cli.RunAsync(args)).EnsureSuccess().Output);
        var info = JsonDocument.Parse(Qemu("info", "-f", format, "--output=json", folder["x"])).RootElement;
        Assert.Equal((long)(double.Parse(size[..^1], System.Globalization.CultureInfo.InvariantCulture) * Images.MiB), info.GetProperty("virtual-size").GetInt64());
    }

    [Fact]
    public async Task What_convert_writes_has_the_same_content_for_qemu_img()
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 21 * Images.MiB);
        foreach (var options in new[] { "subformat=dynamic", "subformat=fixed", "block_size=512k" })
        {
            (await Cli.RunAsync("convert", "-f", "raw", "-O", "vpc", "-o", options, folder["a.raw"], folder["b.vhd"])).EnsureSuccess();
            Assert.Equal("Images are identical.\n", Qemu("compare", "-f", "raw", "-F", "vpc", folder["a.raw"], folder["b.vhd"]));
        }
    }

    [Fact]
    public async Task Check_has_the_keys_of_qemu_img_s()
    {
        using var folder = new TempFolder();
        Qemu("create", "-f", "qcow2", folder["q.qcow2"], "1M");
        var theirs = JsonDocument.Parse(Qemu("check", "--output=json", folder["q.qcow2"])).RootElement;
        (await Cli.RunAsync("create", "-q", folder["b.vhd"], "1M")).EnsureSuccess();
        var ours = (await Cli.RunAsync("check", "--output=json", folder["b.vhd"])).EnsureSuccess().Json;
        Assert.All(theirs.EnumerateObject(), property => Assert.True(ours.TryGetProperty(property.Name, out _), property.Name));
    }

    private static string Qemu(params string[] args) => Tools.Run("qemu-img", args).EnsureSuccess().Output;
}
