using VhdCore.Testing;

namespace VhdCli.Tests;

/// <summary>The file that a conversion makes before it has its name.</summary>
public sealed class TemporaryFileTests
{
    [Fact]
    public async Task What_a_killed_process_left_is_removed_and_nothing_else()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux' locks tell what is abandoned");
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], Images.MiB);
        string[] others =
        [
            "b.vhd.part", "b.vhd.0123456789ab.part.txt", "b.vhd.0123456789aX.part", "b.vhd.0123456789abc.part", "c.vhd.0123456789ab.part", "b.raw.0123456789ab.part", "xb.vhd.0123456789ab.part",
        ];
        foreach (var name in others.Append("b.vhd.0123456789ab.part").Append("b.vhd.ffffffffffff.part"))
        {
            File.WriteAllText(folder[name], "left");
        }

        Directory.CreateDirectory(folder["b.vhd.aaaaaaaaaaaa.part"]);
        (await Cli.RunAsync("convert", "-q", folder["a.raw"], folder["b.vhd"])).EnsureSuccess();
        Assert.Equal(
            others.Append("a.raw").Append("b.vhd").Append("b.vhd.aaaaaaaaaaaa.part").Order(StringComparer.Ordinal),
            Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Two_conversions_to_one_name_leave_each_other_alone()
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        var second = 0;
        var resolver = new WatchingResolver(folder["a.raw"], async _ =>
        {
            if (Interlocked.Exchange(ref second, 1) == 0)
            {
                Assert.Single(Directory.EnumerateFiles(folder.Path, "*.part"));
                (await Cli.RunAsync("convert", "-q", "-f", "raw", folder["a.raw"], folder["b.vhd"])).EnsureSuccess();
                Assert.Single(Directory.EnumerateFiles(folder.Path, "*.part"));
            }
        });
        (await Cli.RunAsync(["convert", "-q", "-f", "raw", "-m", "1", folder["a.raw"], folder["b.vhd"]], null, null, resolver, TestContext.Current.CancellationToken)).EnsureSuccess();
        Assert.Equal(1, second);
        Assert.Empty(Directory.EnumerateFiles(folder.Path, "*.part"));
        Assert.StartsWith(Images.HashOf(content), (await Cli.RunAsync("hash", folder["b.vhd"])).EnsureSuccess().Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("raw", UnixFileMode.UserRead | UnixFileMode.UserWrite)]
    [InlineData("vhdx", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead)]
    [InlineData("vhd", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite)]
    public async Task It_has_the_permissions_of_what_it_will_replace_from_its_first_byte(string format, UnixFileMode mode)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Unix permissions");
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], Images.MiB);
        File.WriteAllText(folder["b"], "old");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(folder["b"], mode);
        }

        var seen = new List<UnixFileMode>();
        var resolver = new WatchingResolver(folder["a.raw"], _ =>
        {
            seen.AddRange(Directory.EnumerateFiles(folder.Path, "*.part").Select(name => new FileInfo(name).UnixFileMode));
            return ValueTask.CompletedTask;
        });
        (await Cli.RunAsync(["convert", "-q", "-f", "raw", "-m", "1", "-O", format, folder["a.raw"], folder["b"]], null, null, resolver, TestContext.Current.CancellationToken)).EnsureSuccess();
        Assert.NotEmpty(seen);
        Assert.All(seen.Append(new FileInfo(folder["b"]).UnixFileMode), actual => Assert.Equal(mode, actual));
    }
}
