using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCli.Tests;

public sealed class ConvertTests
{
    private static readonly Dictionary<string, string> Epoch = new() { ["SOURCE_DATE_EPOCH"] = "1700000000" };

    [Fact]
    public async Task A_chain_becomes_a_raw_file_of_its_content()
    {
        using var folder = new TempFolder();
        var result = (await Cli.RunAsync("convert", Images.ChainLeaf, folder["out.raw"])).EnsureSuccess();
        Assert.Equal(Images.ChainLeafHash, Images.HashOf(folder["out.raw"]));
        Assert.Equal("vhdkit: format raw taken from the extension .raw; -O overrides it\n", result.Error.ReplaceLineEndings("\n"));
        Assert.Equal([folder["out.raw"]], Directory.GetFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("a.vhd", "vhd")]
    [InlineData("a.VHD", "vhd")]
    [InlineData("a.img", "raw")]
    [InlineData("a", "raw")]
    public async Task The_format_comes_from_the_extension_and_stderr_says_so(string name, string format)
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["src.raw"], Images.MiB);
        var result = (await Cli.RunAsync("convert", "-f", "raw", folder["src.raw"], folder[name])).EnsureSuccess();
        Assert.Contains($"format {format} taken", result.Error, StringComparison.Ordinal);
        Assert.Equal(format, (await Cli.RunAsync("info", "--output=json", folder[name])).EnsureSuccess().Json.GetProperty("format").GetString());
        var silent = (await Cli.RunAsync("convert", "-O", format, folder["src.raw"], folder[name])).EnsureSuccess();
        Assert.Empty(silent.Error);
    }

    [Theory]
    [InlineData("subformat=dynamic")]
    [InlineData("subformat=fixed")]
    [InlineData("block_size=64k")]
    [InlineData("subformat=dynamic,block_size=512k,force_size=on")]
    public async Task There_and_back_the_bytes_are_the_same(string options)
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], (5 * Images.MiB) + 512);
        (await Cli.RunAsync("convert", "-O", "vpc", "-o", options, "--verify", folder["a.raw"], folder["b.vhd"])).EnsureSuccess();
        (await Cli.RunAsync("convert", "-O", "raw", "-S", "0", "-m", "3", folder["b.vhd"], folder["c.raw"])).EnsureSuccess();
        Assert.Equal(Images.HashOf(content), Images.HashOf(folder["c.raw"]));
        (await Cli.RunAsync("convert", "-O", "raw", "-W", folder["b.vhd"], folder["d.raw"])).EnsureSuccess();
        Assert.Equal(Images.HashOf(content), Images.HashOf(folder["d.raw"]));
    }

    [Fact]
    public async Task A_raw_length_that_is_no_whole_sector_is_rounded_up_and_said()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["a.raw"], [1, 2, 3]);
        var result = (await Cli.RunAsync("convert", "-f", "raw", "-O", "raw", folder["a.raw"], folder["b.raw"])).EnsureSuccess();
        Assert.Contains("warning", result.Error, StringComparison.Ordinal);
        Assert.Equal(512, new FileInfo(folder["b.raw"]).Length);
    }

    [Theory]
    [InlineData("vhd", "subformat=dynamic")]
    [InlineData("vhd", "subformat=fixed")]
    [InlineData("vhdx", "subformat=dynamic")]
    [InlineData("vhdx", "subformat=fixed")]
    [InlineData("vhdx", "block_size=1M,log_size=2M,logical_sector_size=4096")]
    public async Task With_an_epoch_and_an_id_the_output_is_the_same_every_time(string format, string options)
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 21 * Images.MiB);
        foreach (var name in new[] { "b.vhd", "c.vhd", "d.vhd" })
        {
            string[] args =
            [
                "convert", "-O", format, "-o", options, "--uuid", "5a0c7f3e-0d0f-4b44-8a53-2f0c4be1b1a9", "-m", "4", folder["a.raw"], folder[name],
            ];
            (await Cli.RunAsync(args, null, Epoch)).EnsureSuccess();
        }

        Assert.Equal(Images.HashOf(folder["b.vhd"]), Images.HashOf(folder["c.vhd"]));
        Assert.Equal(Images.HashOf(folder["b.vhd"]), Images.HashOf(folder["d.vhd"]));
        var data = (await Cli.RunAsync("info", "--output=json", folder["b.vhd"])).Json.GetProperty("format-specific").GetProperty("data");
        if (format == "vhd")
        {
            Assert.Equal("2023-11-14T22:13:20Z", data.GetProperty("timestamp").GetString());
        }

        Assert.Equal("5a0c7f3e-0d0f-4b44-8a53-2f0c4be1b1a9", data.GetProperty(format == "vhd" ? "unique-id" : "virtual-disk-id").GetString());
    }

    [Fact]
    public async Task With_an_epoch_and_an_id_a_chain_of_VHDXs_is_the_same_every_time_and_its_identifiers_differ()
    {
        using var folder = new TempFolder();
        var hashes = new List<string>();
        for (var i = 0; i < 2; i++)
        {
            var ids = new HashSet<string>();
            var made = Directory.CreateDirectory(folder[i == 0 ? "here" : "there"]).FullName;
            foreach (var (name, parent) in new[] { ("a.vhdx", null), ("b.vhdx", "a.vhdx"), ("c.vhdx", "b.vhdx") })
            {
                var path = Path.Combine(made, name);
                string[] args = ["create", "-q", "--uuid", "5a0c7f3e-0d0f-4b44-8a53-2f0c4be1b1a9", path, .. parent is null ? ["8M"] : new[] { "-b", Path.Combine(made, parent) }];
                (await Cli.RunAsync(args, null, Epoch)).EnsureSuccess();
                var data = (await Cli.RunAsync("info", "--output=json", path)).EnsureSuccess().Json.GetProperty("format-specific").GetProperty("data");
                Assert.True(ids.Add(data.GetProperty("data-write-guid").GetString()!));
                Assert.True(ids.Add(data.GetProperty("file-write-guid").GetString()!));
                hashes.Add(Images.HashOf(path));
            }
        }

        Assert.Equal(hashes[..3], hashes[3..]);
        (await Cli.RunAsync(["create", "-q", "--uuid", "5a0c7f3e-0d0f-4b44-8a53-2f0c4be1b1a9", folder["d.vhdx"], "8M"])).EnsureSuccess();
        Assert.NotEqual(hashes[0], Images.HashOf(folder["d.vhdx"])); // a time is needed too
    }

    [Theory]
    [InlineData("vhd")]
    [InlineData("vhdx")]
    public async Task The_output_is_the_same_however_long_it_takes(string format)
    {
        using var folder = new TempFolder();
        var content = new byte[24 * Images.MiB];
        new Random(9).NextBytes(content);
        File.WriteAllBytes(folder["a.raw"], content);
        string[] Args(string target) =>
            ["convert", "-q", "-f", "raw", "-O", format, "--block-size=2M", "-m", "1", "--uuid", "5a0c7f3e-0d0f-4b44-8a53-2f0c4be1b1a9", folder["a.raw"], folder[target]];
        (await Cli.RunAsync(Args("quick.vhd"), null, Epoch)).EnsureSuccess();

        // Longer than tables of an image that is in use may wait for their commit.
        var slow = new WatchingResolver(folder["a.raw"], async _ => await Task.Delay(125));
        (await Cli.RunAsync(Args("slow.vhd"), null, Epoch, slow)).EnsureSuccess();
        Assert.Equal(Images.HashOf(folder["quick.vhd"]), Images.HashOf(folder["slow.vhd"]));
    }

    [Fact]
    public async Task An_epoch_that_is_no_number_is_refused()
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], Images.MiB);
        var result = await Cli.RunAsync(["convert", folder["a.raw"], folder["b.vhd"]], null, new Dictionary<string, string> { ["SOURCE_DATE_EPOCH"] = "now" });
        Assert.Contains("SOURCE_DATE_EPOCH", result.EnsureExit(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_has_the_name_is_replaced_and_not_written_over()
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        File.WriteAllText(folder["b.raw"], "old");
        Assert.SkipWhen(OperatingSystem.IsWindows(), "an open file is not replaced on Windows");
        using var old = new FileStream(folder["b.raw"], FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        (await Cli.RunAsync("convert", folder["a.raw"], folder["b.raw"])).EnsureSuccess();
        Assert.Equal(Images.HashOf(content), Images.HashOf(folder["b.raw"]));
        Assert.Equal(3, old.Length);
        Assert.Equal(2, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Fact]
    public async Task Permissions_and_a_link_to_the_target_stay()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Unix permissions");
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], Images.MiB);
        File.WriteAllText(folder["b.raw"], "old");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(folder["b.raw"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        File.CreateSymbolicLink(folder["link.raw"], "b.raw");
        (await Cli.RunAsync("convert", folder["a.raw"], folder["link.raw"])).EnsureSuccess();
        Assert.Equal("b.raw", new FileInfo(folder["link.raw"]).LinkTarget);
        Assert.Equal(Images.HashOf(folder["a.raw"]), Images.HashOf(folder["b.raw"]));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(folder["b.raw"]).UnixFileMode);
    }

    [Fact]
    public async Task A_source_that_fails_leaves_the_old_target_and_nothing_else()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", "-o", "block_size=512k", folder["a.vhd"], "8M")).EnsureSuccess();
        (await Cli.RunAsync(["write", folder["a.vhd"], "--offset", "6M"], new byte[] { 1, 2, 3 })).EnsureSuccess();
        var bytes = File.ReadAllBytes(folder["a.vhd"]);
        bytes[4096 + (12 * 4)] = 0x7F; // the block's table entry points far behind the file's end
        File.WriteAllBytes(folder["a.vhd"], bytes);
        File.WriteAllText(folder["b.raw"], "old");
        (await Cli.RunAsync("convert", folder["a.vhd"], folder["b.raw"])).EnsureExit(1);
        Assert.Equal("old", File.ReadAllText(folder["b.raw"]));
        Assert.Equal(2, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Fact]
    public async Task A_convert_that_is_interrupted_leaves_the_old_target_and_nothing_else()
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 4 * Images.MiB);
        File.WriteAllText(folder["b.vhd"], "old");
        using var cancel = new CancellationTokenSource();
        var sawPart = false;
        var resolver = new WatchingResolver(folder["a.raw"], async offset =>
        {
            if (offset >= Images.MiB)
            {
                sawPart |= Directory.EnumerateFiles(folder.Path, "*.part").Any();
                await cancel.CancelAsync();
            }
        });
        var result = await Cli.RunAsync(["convert", "-f", "raw", "-O", "vhd", folder["a.raw"], folder["b.vhd"]], null, null, resolver, cancel.Token);
        Assert.Contains("interrupted", result.EnsureExit(130).Error, StringComparison.Ordinal);
        Assert.True(sawPart, "the target was not under way yet");
        Assert.Equal("old", File.ReadAllText(folder["b.vhd"]));
        Assert.Equal(2, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Fact]
    public async Task Source_and_target_are_never_the_same_file_by_any_name()
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], Images.MiB);
        File.CreateSymbolicLink(folder["link.raw"], folder["a.raw"]);
        foreach (var extra in new[] { "-q", "-n" })
        {
            Assert.Contains("same file", (await Cli.RunAsync("convert", extra, folder["a.raw"], folder["a.raw"])).EnsureExit(1).Error, StringComparison.Ordinal);
            Assert.Contains("same file", (await Cli.RunAsync("convert", extra, folder["a.raw"], folder["link.raw"])).EnsureExit(1).Error, StringComparison.Ordinal);
        }

        Assert.Equal(Images.HashOf(content), Images.HashOf(folder["a.raw"]));
        (await Cli.RunAsync("create", "-q", folder["base.vhd"], "1M")).EnsureSuccess();
        (await Cli.RunAsync("create", "-q", "-b", folder["base.vhd"], folder["leaf.vhd"])).EnsureSuccess();
        var parent = (await Cli.RunAsync("convert", folder["leaf.vhd"], folder["base.vhd"])).EnsureExit(1);
        Assert.Contains("parent", parent.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hard_link_to_the_source_is_the_source()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux tells one file from another here");
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], Images.MiB);
        Tools.Run("ln", folder["a.raw"], folder["hard.raw"]).EnsureSuccess();
        Assert.Contains("same file", (await Cli.RunAsync("convert", folder["a.raw"], folder["hard.raw"])).EnsureExit(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_n_the_target_is_written_through()
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], 2 * Images.MiB);
        var dirty = new byte[(2 * Images.MiB) + 4096];
        Array.Fill(dirty, (byte)0xEE);
        File.WriteAllBytes(folder["b.raw"], dirty);
        (await Cli.RunAsync("convert", "-n", "-O", "raw", "--verify", folder["a.raw"], folder["b.raw"])).EnsureSuccess();
        var after = File.ReadAllBytes(folder["b.raw"]);
        Assert.Equal(Images.HashOf(content), Images.HashOf(after[..content.Length]));
        Assert.All(after[content.Length..], value => Assert.Equal(0xEE, value));

        (await Cli.RunAsync("create", "-q", folder["c.vhd"], "2M")).EnsureSuccess();
        (await Cli.RunAsync("convert", "-n", "-O", "vhd", folder["a.raw"], folder["c.vhd"])).EnsureSuccess();
        Assert.Equal(Images.HashOf(content), (await Cli.RunAsync("hash", folder["c.vhd"])).EnsureSuccess().Output.Split(' ')[0]);

        (await Cli.RunAsync("create", "-q", folder["small.raw"], "1M")).EnsureSuccess();
        Assert.Contains(
            "output file is smaller than input file",
            (await Cli.RunAsync("convert", "-n", folder["a.raw"], folder["small.raw"])).EnsureExit(1).Error,
            StringComparison.Ordinal);
        (await Cli.RunAsync("convert", "-n", folder["a.raw"], folder["missing.raw"])).EnsureExit(1);
        Assert.False(File.Exists(folder["missing.raw"]));
    }

    [Fact]
    public async Task Standard_output_gets_the_raw_bytes()
    {
        var result = (await Cli.RunAsync("convert", "-O", "raw", Images.ChainLeaf, "-")).EnsureSuccess();
        Assert.Equal(Images.ChainLeafHash, Images.HashOf(result.Bytes));
        var device = (await Cli.RunAsync("convert", "-O", "raw", Images.ChainLeaf, "/dev/stdout")).EnsureSuccess();
        Assert.Equal(Images.ChainLeafHash, Images.HashOf(device.Bytes));
        Assert.Contains("--verify", (await Cli.RunAsync("convert", "-O", "raw", "--verify", Images.ChainLeaf, "-")).EnsureExit(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_named_pipe_and_the_null_device_are_written_to_and_not_replaced()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "named pipes are told apart on Linux only");
        using var folder = new TempFolder();
        Tools.Run("mkfifo", folder["pipe"]).EnsureSuccess();
        var reader = Task.Run(() => Images.HashOf(folder["pipe"]));
        (await Cli.RunAsync("convert", "-O", "raw", Images.ChainLeaf, folder["pipe"])).EnsureSuccess();
        Assert.Equal(Images.ChainLeafHash, await reader);
        (await Cli.RunAsync("convert", "-O", "raw", Images.ChainLeaf, "/dev/null")).EnsureSuccess();
        Assert.Equal(Targets.FileKind.Stream, Targets.FileIdentity.Of("/dev/null").Kind);
        var full = (await Cli.RunAsync("convert", "-O", "raw", Images.ChainLeaf, "/dev/full")).EnsureExit(1);
        Assert.Contains("No space left", full.Error, StringComparison.Ordinal);
        Assert.Contains("/dev/full", full.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_result_for_programs_counts_what_was_moved()
    {
        using var folder = new TempFolder();
        var json = (await Cli.RunAsync("convert", "--output=json", "-O", "raw", Images.ChainLeaf, folder["o.raw"])).EnsureSuccess().Json;
        Assert.Equal(16 * Images.MiB, json.GetProperty("virtual-size").GetInt64());
        Assert.Equal(16 * Images.MiB, json.GetProperty("bytes-written").GetInt64() + json.GetProperty("bytes-zero").GetInt64());
        Assert.InRange(json.GetProperty("bytes-read").GetInt64(), 1, 2 * Images.MiB); // what the tables know to be zero is not read
        (await Cli.RunAsync("convert", "--output=json", "-O", "raw", Images.ChainLeaf, "-")).EnsureExit(1);
        var created = (await Cli.RunAsync("create", "--output=json", "-f", "vhd", folder["c.vhd"], "1M")).EnsureSuccess().Json;
        Assert.Equal(Images.MiB, created.GetProperty("virtual-size").GetInt64());
        var error = System.Text.Json.JsonDocument.Parse(
            (await Cli.RunAsync("convert", "-q", "--output=json", folder["missing"], folder["d.raw"])).EnsureExit(1).Error).RootElement;
        Assert.Equal(folder["missing"], error.GetProperty("path").GetString());
    }

    [Fact]
    public async Task Progress_has_qemu_s_form_or_JSON_or_none()
    {
        using var folder = new TempFolder();
        var percent = (await Cli.RunAsync("convert", "-p", "-O", "raw", Images.ChainLeaf, folder["o.raw"])).EnsureSuccess();
        Assert.Matches(@"    \(6\.25/100%\)\r[^\n]*    \(100\.00/100%\)\r\r?\n$", percent.Error);

        var lines = (await Cli.RunAsync("convert", "--progress=ndjson", "--verify", "-O", "raw", Images.ChainLeaf, folder["o.raw"])).EnsureSuccess()
            .Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => System.Text.Json.JsonDocument.Parse(line).RootElement).ToArray();
        Assert.Equal(["convert", "verify"], lines.Select(line => line.GetProperty("phase").GetString()).Distinct());
        Assert.Equal(16 * Images.MiB, lines[^1].GetProperty("bytesDone").GetInt64());
        Assert.Equal(16 * Images.MiB, lines[^1].GetProperty("bytesTotal").GetInt64());

        Assert.Empty((await Cli.RunAsync("convert", "-p", "-q", "-O", "raw", Images.ChainLeaf, folder["o.raw"])).EnsureSuccess().Error);
    }

    [Fact]
    public async Task A_target_that_another_program_holds_is_not_replaced()
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], Images.MiB);
        (await Cli.RunAsync("create", "-q", folder["b.vhd"], "1M")).EnsureSuccess();
        await using var holder = await new FileStorageResolver().OpenAsync(folder["b.vhd"], StorageOpenOptions.ForWriting);
        var result = (await Cli.RunAsync("convert", folder["a.raw"], folder["b.vhd"])).EnsureExit(1);
        Assert.Contains("b.vhd", result.Error, StringComparison.Ordinal);
    }
}
