using System.IO.Compression;
using System.Security.Cryptography;
using VhdCore.Testing;

namespace VhdCli.Tests;

/// <summary>Each verb that only reads, over each VHDX of other programs. The samples lie beside the repository, and the tests skip without them.</summary>
public sealed class SampleVerbTests
{
    [Theory]
    [InlineData("ltrdata-vhdx-log-replay.vhdx", 1L << 30, "3ba3b309425b7ff5e8e0199edceed95226250f880c53b24e8eae93865f3fad5e", true)]
    [InlineData("ltrdata-btrfs.vhdx", 1L << 30, "0b959f9cb4e18348ad8b646f152178282542c8304f02fddf765e3fd1a1de6864", false)]
    [InlineData("ltrdata-lvm2.vhdx", 10L << 30, "f7dc6812a3b12a35f3ec895ce981bd59ff4558270fc80cd812c9cd522bff1295", false)]
    [InlineData("qemu-iotest-dynamic-1G.vhdx", 1L << 30, "d3d112d8dab7fd360609f7d5a7b769904b7a2a7d7b6b8c535f65a23293c05478", false)]
    [InlineData("qemu-iotest-dirtylog-10G-4M.vhdx", 10L << 30, "179cefe8b0587f123393eedf2aa7aa8d25798591178e6bc3950a09762f38f96f", true)]
    public async Task Every_verb_that_reads_works_and_changes_nothing(string name, long size, string hash, bool isDirty)
    {
        using var folder = new TempFolder();
        var path = folder[name];
        Unpack(name, path);
        File.SetLastWriteTimeUtc(path, new DateTime(2012, 3, 4, 5, 6, 7, DateTimeKind.Utc));
        var before = (HashOf(path), File.GetLastWriteTimeUtc(path), new FileInfo(path).Length);

        Assert.Equal($"{hash}  {path}\n", (await Cli.RunAsync("hash", path)).EnsureSuccess().Output);
        var info = (await Cli.RunAsync("info", "--output=json", path)).EnsureSuccess();
        Assert.Empty(info.Error);
        Assert.Equal(size, info.Json.GetProperty("virtual-size").GetInt64());
        Assert.Equal(isDirty, info.Json.GetProperty("dirty-flag").GetBoolean());
        Assert.Equal(isDirty ? "dirty" : "clean", info.Json.GetProperty("format-specific").GetProperty("data").GetProperty("log").GetProperty("state").GetString());
        Assert.Contains("subformat: dynamic", (await Cli.RunAsync("info", "--backing-chain", path)).EnsureSuccess().Output, StringComparison.Ordinal);

        long mapped = 0;
        foreach (var run in (await Cli.RunAsync("map", "--output=json", path)).EnsureSuccess().Json.EnumerateArray())
        {
            Assert.Equal(mapped, run.GetProperty("start").GetInt64());
            mapped += run.GetProperty("length").GetInt64();
        }

        Assert.Equal(size, mapped);
        (await Cli.RunAsync("map", path)).EnsureSuccess();
        var tree = (await Cli.RunAsync("hash", "--tree", "--output=json", path)).EnsureSuccess().Json.GetProperty("hash").GetString();

        foreach (var (format, options) in new[] { ("raw", "-v"), ("vhd", "--block-size=2M"), ("vhdx", "--block-size=1M") })
        {
            var required = (await Cli.RunAsync("measure", "-O", format, options, "--output=json", path)).EnsureSuccess().Json.GetProperty("required").GetInt64();
            (await Cli.RunAsync("convert", "-q", "-O", format, options, path, folder["copy"])).EnsureSuccess();
            Assert.InRange(new FileInfo(folder["copy"]).Length, 1, required); // a copy finds zeros that tables do not know
            Assert.Equal(tree, (await Cli.RunAsync("hash", "--tree", "-f", format, "--output=json", folder["copy"])).EnsureSuccess().Json.GetProperty("hash").GetString());
            Assert.Contains("identical", (await Cli.RunAsync("compare", "-F", format, path, folder["copy"])).EnsureSuccess().Output, StringComparison.Ordinal);
        }

        (await Cli.RunAsync("check", path)).EnsureSuccess();
        (await Cli.RunAsync("check", "--output=json", path)).EnsureSuccess();
        var first = (await Cli.RunAsync("read", path, "--length", "8k")).EnsureSuccess().Bytes;
        using (var raw = File.OpenRead(path))
        {
            Assert.Equal(8192, first.Length);
            Assert.NotEqual(raw.Length, size);
        }

        Assert.Equal(before, (HashOf(path), File.GetLastWriteTimeUtc(path), new FileInfo(path).Length));
    }

    private static string HashOf(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static void Unpack(string name, string path)
    {
        var folder = Environment.GetEnvironmentVariable("VHDKIT_SAMPLES") ?? Path.Combine(RepositoryFiles.Root, "..", "shared", "samples");
        var packedPath = Path.Combine(folder, name + ".gz");
        Assert.SkipUnless(File.Exists(packedPath), $"The sample {name}.gz is neither in $VHDKIT_SAMPLES nor in ../shared/samples.");
        using var packed = new GZipStream(File.OpenRead(packedPath), CompressionMode.Decompress);
        using var file = File.Create(path);
        packed.CopyTo(file);
    }
}
