using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCli.Tests;

public sealed class ReplayTests
{
    [Fact]
    public async Task A_dirty_log_is_replayed_once_and_what_it_did_is_said()
    {
        using var folder = new TempFolder();
        var before = WriteDirty(folder["a.vhdx"]);
        var dry = (await Cli.RunAsync("replay", "--dry-run", "--output=json", folder["a.vhdx"])).EnsureSuccess().Json;
        Assert.Equal((true, false, 1), (dry.GetProperty("dirty").GetBoolean(), dry.GetProperty("replayed").GetBoolean(), dry.GetProperty("updates").GetInt32()));
        Assert.Equal(Images.HashOf(before), Images.HashOf(folder["a.vhdx"]));
        var hash = (await Cli.RunAsync("hash", folder["a.vhdx"])).EnsureSuccess().Output;

        Assert.Contains("Replayed 1 log entries with 1 updates", (await Cli.RunAsync("replay", folder["a.vhdx"])).EnsureSuccess().Output, StringComparison.Ordinal);
        Assert.Equal(hash, (await Cli.RunAsync("hash", folder["a.vhdx"])).EnsureSuccess().Output);
        var check = (await Cli.RunAsync("check", "--output=json", folder["a.vhdx"])).EnsureSuccess().Json;
        Assert.Equal(0, check.GetProperty("findings").GetArrayLength());

        var after = Images.HashOf(folder["a.vhdx"]);
        var again = (await Cli.RunAsync("replay", "--output=json", folder["a.vhdx"])).EnsureSuccess().Json;
        Assert.Equal((false, false), (again.GetProperty("dirty").GetBoolean(), again.GetProperty("replayed").GetBoolean()));
        Assert.Contains("Nothing to replay", (await Cli.RunAsync("replay", folder["a.vhdx"])).EnsureSuccess().Output, StringComparison.Ordinal);
        Assert.Equal(after, Images.HashOf(folder["a.vhdx"]));
    }

    [Fact]
    public async Task What_has_no_log_or_is_in_use_is_refused()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["a.vhd"], "5M")).EnsureSuccess();
        Assert.Contains("only VHDX", (await Cli.RunAsync("replay", folder["a.vhd"])).EnsureExit(1).Error, StringComparison.Ordinal);
        WriteDirty(folder["a.vhdx"]);
        var resolver = new VhdCore.Storage.FileStorageResolver();
        await using (await resolver.OpenAsync(folder["a.vhdx"], VhdCore.Storage.StorageOpenOptions.ForWriting, TestContext.Current.CancellationToken))
        {
            (await Cli.RunAsync("replay", folder["a.vhdx"])).EnsureExit(1);
        }
    }

    private static byte[] WriteDirty(string path)
    {
        var builder = new PlainVhdxBuilder { Blocks = new() { [1] = new(6, Enumerable.Repeat((byte)7, Images.MiB).ToArray()) } };
        var image = builder.Build();
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, Images.MiB, PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001"));
        log.Add(log.Take(builder.BatOffset, old: 0));
        log.MarkDirty();
        File.WriteAllBytes(path, image);
        return image;
    }
}
