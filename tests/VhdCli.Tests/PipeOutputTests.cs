using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCli.Tests;

/// <summary>convert to standard output and to named pipes: images in one forward pass.</summary>
public sealed class PipeOutputTests
{
    private const string Id = "5a0c7f3e-0d0f-4b44-8a53-2f0c4be1b1a9";

    private static readonly Dictionary<string, string> Epoch = new() { ["SOURCE_DATE_EPOCH"] = "1700000000" };

    public static TheoryData<string, int> KindsAndSizes()
    {
        var data = new TheoryData<string, int>();
        foreach (var kind in new[] { "subformat=fixed", "subformat=dynamic", "subformat=dynamic,block_size=512k", "subformat=dynamic,block_size=4k", "subformat=dynamic,block_size=16M" })
        {
            foreach (var size in new[] { 512, (2 * Images.MiB) - 512, 2 * Images.MiB, (5 * Images.MiB) + 512, 33 * Images.MiB })
            {
                data.Add(kind, size);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(KindsAndSizes))]
    public async Task A_VHD_down_a_pipe_is_whole_for_an_independent_reader_and_as_long_as_measured(string options, int size)
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], size);
        var sent = await SendAsync(folder["a.raw"], "-f", "raw", "-O", "vhd", "-o", options);
        using var image = PlainChain.OpenBytes(sent, PlainRules.StrictEnd);
        Assert.Equal(size, image.Length);
        Assert.Equal(Images.HashOf(content), image.Hash());

        var measured = (await Cli.RunAsync("measure", "--output=json", "-f", "raw", "-O", "vhd", "-o", options, folder["a.raw"])).EnsureSuccess().Json;
        Assert.Equal(measured.GetProperty("required").GetInt64(), sent.Length);
        File.WriteAllBytes(folder["sent.vhd"], sent);
        Assert.DoesNotContain(
            (await Cli.RunAsync("check", "--output=json", folder["sent.vhd"])).EnsureSuccess().Json.GetProperty("findings").EnumerateArray(),
            finding => finding.GetProperty("severity").GetString() != "note");
        var there = (await Cli.RunAsync("hash", folder["sent.vhd"])).EnsureSuccess().Output;
        Assert.StartsWith(Images.HashOf(content), there, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("subformat=fixed")]
    [InlineData("subformat=dynamic")]
    [InlineData("subformat=dynamic,block_size=512k")]
    public async Task Byte_for_byte_it_is_what_a_file_gets_but_for_footers_that_it_left_behind_as_it_grew(string options)
    {
        using var folder = new TempFolder();
        var content = new byte[(9 * Images.MiB) + 512];
        new Random(4).NextBytes(content);
        File.WriteAllBytes(folder["a.raw"], content);
        string[] args = ["-f", "raw", "-O", "vhd", "-o", options, "--uuid", Id];
        (await Cli.RunAsync(["convert", .. args, folder["a.raw"], folder["b.vhd"]], null, Epoch)).EnsureSuccess();
        var file = File.ReadAllBytes(folder["b.vhd"]);
        for (var sector = 512; sector < file.Length - 512; sector += 512)
        {
            if (file.AsSpan(sector).StartsWith("conectix"u8))
            {
                file.AsSpan(sector, 512).Clear(); // between two blocks, where the file once ended
            }
        }

        Assert.Equal(Images.HashOf(file), Images.HashOf(await SendAsync(folder["a.raw"], args)));
    }

    [Fact]
    public async Task Of_a_dynamic_disk_only_blocks_that_the_source_has_are_sent()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", "--block-size=1M", folder["a.vhdx"], "1T")).EnsureSuccess();
        (await Cli.RunAsync(["write", folder["a.vhdx"], "--offset", "777G"], [1, 2, 3])).EnsureSuccess();
        (await Cli.RunAsync(["write", folder["a.vhdx"], "--offset", "5M"], [4, 5, 6])).EnsureSuccess();
        var sent = await SendAsync(folder["a.vhdx"], "-O", "vhd");
        Assert.InRange(sent.Length, 2 * 2 * Images.MiB, 9 * Images.MiB); // two blocks of 2 MiB behind a table of 2 MiB
        using var image = PlainChain.OpenBytes(sent, PlainRules.StrictEnd);
        Assert.Equal(1L << 40, image.Length);
        Assert.Equal([1, 2, 3, 0], image.Read(777L << 30, 4));
        Assert.Equal([0, 4, 5, 6], image.Read((5 * Images.MiB) - 1, 4));

        // Asked for, everything is sent.
        (await Cli.RunAsync("create", "-q", folder["b.vhd"], "20M")).EnsureSuccess();
        Assert.InRange((await SendAsync(folder["b.vhd"], "-O", "vhd", "-S", "0")).Length, 20 * Images.MiB, 21 * Images.MiB);
        Assert.InRange((await SendAsync(folder["b.vhd"], "-O", "vhd")).Length, 1, 8192 + 512);
    }

    [Fact]
    public async Task A_chain_goes_down_a_pipe_as_one_disk()
    {
        foreach (var options in new[] { "subformat=fixed", "subformat=dynamic" })
        {
            using var image = PlainChain.OpenBytes(await SendAsync(Images.ChainLeaf, "-O", "vhd", "-o", options));
            Assert.Equal(Images.ChainLeafHash, image.Hash());
        }
    }

    [Fact]
    public async Task A_geometry_that_is_larger_is_filled_up_with_zeros()
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], (3 * Images.MiB) + 512);
        foreach (var options in new[] { "subformat=fixed", "subformat=dynamic,block_size=512k" })
        {
            using var image = PlainChain.OpenBytes(await SendAsync(folder["a.raw"], "-f", "raw", "-O", "vhd", "-o", options, "--chs-compat"), PlainRules.StrictEnd);
            Assert.True(image.Length > content.Length);
            var read = image.ReadAll();
            Assert.Equal(Images.HashOf(content), Images.HashOf(read[..content.Length]));
            Assert.All(read[content.Length..], value => Assert.Equal(0, value));
        }
    }

    [Fact]
    public async Task A_VHDX_is_refused_before_a_byte_goes_down_the_pipe()
    {
        var refused = (await Cli.RunAsync("convert", "-O", "vhdx", Images.ChainLeaf, "-")).EnsureExit(1);
        Assert.Empty(refused.Bytes);
        Assert.Contains("-O vhd", refused.Error, StringComparison.Ordinal);
        Assert.Contains("log", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Usage", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_format_cannot_hold_is_refused_before_a_byte_goes_down_the_pipe()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["a.vhdx"], "3T")).EnsureSuccess();
        var refused = (await Cli.RunAsync("convert", "-O", "vhd", folder["a.vhdx"], "-")).EnsureExit(1);
        Assert.Empty(refused.Bytes);
        Assert.Contains("2040 GiB", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Progress_and_traces_stay_off_standard_output()
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        var plain = await Cli.RunAsync(["convert", "-f", "raw", "-O", "vhd", "--uuid", Id, folder["a.raw"], "-"], null, Epoch);
        var told = (await Cli.RunAsync(["convert", "-f", "raw", "-O", "vhd", "--uuid", Id, "-p", "-v", folder["a.raw"], "-"], null, Epoch)).EnsureSuccess();
        Assert.Equal(Images.HashOf(plain.EnsureSuccess().Bytes), Images.HashOf(told.Bytes));
        Assert.Contains("(100.00/100%)", told.Error, StringComparison.Ordinal);
        Assert.Contains("trace: ", told.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_terminal_gets_no_disk()
    {
        using var input = new MemoryStream();
        using var output = new MemoryStream();
        using var error = new StringWriter();
        using var session = new CliSession(() => input, () => output, () => error) { OutputIsTerminal = () => true };
        Assert.Equal(1, await CommandLine.RunAsync(["convert", "-O", "raw", Images.ChainLeaf, "-"], session, TestContext.Current.CancellationToken));
        Assert.Equal(0, output.Length);
        Assert.Contains("terminal", error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("raw", "")]
    [InlineData("vhd", "subformat=fixed")]
    [InlineData("vhd", "subformat=dynamic")]
    public async Task A_reader_that_takes_what_it_likes_when_it_likes_gets_the_same_bytes(string format, string options)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "named pipes are told apart on Linux only");
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], (7 * Images.MiB) + 1024);
        Tools.Run("mkfifo", folder["pipe"]).EnsureSuccess();
        string[] args = ["-f", "raw", "-O", format, .. options.Length > 0 ? ["-o", options] : Array.Empty<string>(), .. format == "vhd" ? ["--uuid", Id] : Array.Empty<string>()];
        var reading = Task.Run(async () =>
        {
            var random = new Random(17);
            using var pipe = new FileStream(folder["pipe"], FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            using var all = new MemoryStream();
            var chunk = new byte[70_000];
            int count;
            while ((count = await pipe.ReadAsync(chunk.AsMemory(0, random.Next(1, random.Next(2) == 0 ? 100 : chunk.Length)))) > 0)
            {
                all.Write(chunk, 0, count);
                await Task.Yield();
            }

            return all.ToArray();
        });
        (await Cli.RunAsync(["convert", .. args, folder["a.raw"], folder["pipe"]], null, Epoch)).EnsureSuccess();
        Assert.Equal(Images.HashOf(await SendAsync(folder["a.raw"], args)), Images.HashOf(await reading));
    }

    private static async Task<byte[]> SendAsync(string source, params string[] args) =>
        (await Cli.RunAsync(["convert", .. args, source, "-"], null, Epoch)).EnsureSuccess().Bytes;
}
