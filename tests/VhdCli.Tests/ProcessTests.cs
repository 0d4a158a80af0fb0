using System.Diagnostics;
using VhdCore.Testing;

namespace VhdCli.Tests;

/// <summary>The program as a process: signals, real pipes, real exit codes.</summary>
public sealed class ProcessTests
{
    private static string Program => Path.Combine(AppContext.BaseDirectory, "vhdkit.dll");

    [Fact]
    public void A_pipe_gets_the_content_of_a_chain()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs a Unix shell");
        var result = Tools.Run("sh", "-c", $"dotnet '{Program}' convert -O raw '{Images.ChainLeaf}' /dev/stdout | sha256sum").EnsureSuccess();
        Assert.StartsWith(Images.ChainLeafHash, result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-O raw")]
    [InlineData("-O vhd -o subformat=fixed")]
    [InlineData("-O vhd -S 0")]
    public void A_reader_that_goes_away_ends_it_with_an_error(string options)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs a Unix shell");
        var result = Tools.Run("sh", "-c", $"{{ dotnet '{Program}' convert {options} '{Images.ChainLeaf}' -; echo ended with $? >&2; }} | head -c 100 >/dev/null");
        Assert.Contains("ended with 1", result.Error, StringComparison.Ordinal);
        Assert.Contains("vhdkit: standard output's reader has gone away", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void QEMU_reads_what_came_through_a_pipe()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs a Unix shell");
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], (13 * Images.MiB) + 512);
        foreach (var options in new[] { "subformat=fixed", "subformat=dynamic", "block_size=512k" })
        {
            Tools.Run("sh", "-c", $"dotnet '{Program}' convert -f raw -O vhd -o {options} '{folder["a.raw"]}' - | cat >'{folder["b.vhd"]}'").EnsureSuccess();
            Assert.Contains("identical", Tools.Run("qemu-img", "compare", "-f", "raw", "-F", "vpc", folder["a.raw"], folder["b.vhd"]).EnsureSuccess().Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void What_QEMU_wrote_comes_through_a_pipe()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs a Unix shell");
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], (13 * Images.MiB) + 512);
        foreach (var (options, target) in new[] { ("subformat=fixed,force_size=on", "vhdx"), ("subformat=dynamic,force_size=on", "raw"), ("subformat=dynamic,force_size=on", "vhdx") })
        {
            Tools.Run("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options, folder["a.raw"], folder["b.vhd"]).EnsureSuccess();
            Tools.Run("sh", "-c", $"cat '{folder["b.vhd"]}' | dotnet '{Program}' convert -O {target} - '{folder["c"]}'").EnsureSuccess();
            Assert.Contains("identical", Tools.Run("qemu-img", "compare", "-f", "raw", "-F", target, folder["a.raw"], folder["c"]).EnsureSuccess().Output, StringComparison.Ordinal);
        }

        Tools.Run("sh", "-c", $"cat '{folder["a.raw"]}' | dotnet '{Program}' convert -O vhd - - --size {(13 * Images.MiB) + 512} | dotnet '{Program}' convert - '{folder["d.vhdx"]}'").EnsureSuccess();
        Assert.Contains("identical", Tools.Run("qemu-img", "compare", "-f", "raw", "-F", "vhdx", folder["a.raw"], folder["d.vhdx"]).EnsureSuccess().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Standard_input_that_is_a_file_is_read_as_one_and_so_may_be_a_VHDX()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux has a name for standard input");
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        Run("convert", "-q", "-f", "raw", folder["a.raw"], folder["a.vhdx"]).EnsureSuccess();
        Tools.Run("sh", "-c", $"dotnet '{Program}' convert -O raw - '{folder["b.raw"]}' <'{folder["a.vhdx"]}'").EnsureSuccess();
        Assert.Equal(Images.HashOf(content), Images.HashOf(folder["b.raw"]));

        // What somebody has read from already is taken from there on.
        Tools.Run("sh", "-c", $"{{ head -c 1048576 >/dev/null; dotnet '{Program}' convert -O raw - '{folder["c.raw"]}'; }} <'{folder["a.raw"]}'").EnsureSuccess();
        Assert.Equal(Images.HashOf(content[Images.MiB..]), Images.HashOf(folder["c.raw"]));
    }

    [Theory]
    [InlineData("TERM", 143)]
    [InlineData("INT", 130)]
    public async Task A_signal_ends_it_while_the_writer_stands_still_and_nothing_is_left(string signal, int exitCode)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs Unix signals");
        using var folder = new TempFolder();
        Tools.Run("mkfifo", folder["pipe"]).EnsureSuccess();
        using var process = Start("convert", "-q", "-O", "raw", folder["pipe"], folder["b.raw"]);
        using var writer = await Task.Run(() => new FileStream(folder["pipe"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0)).WaitAsync(Patience.Hang);
        await writer.WriteAsync(new byte[8192]);
        var clock = Stopwatch.StartNew();
        while (!Directory.EnumerateFiles(folder.Path, "*.part").Any() && !process.HasExited && clock.Elapsed < Patience.Hang)
        {
            await Task.Delay(5);
        }

        Tools.Run("kill", $"-{signal}", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)).EnsureSuccess();
        await process.WaitForExitAsync().WaitAsync(Patience.Hang);
        Assert.Equal(exitCode, process.ExitCode);
        Assert.Equal([folder["pipe"]], Directory.GetFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("TERM", 143)]
    [InlineData("INT", 130)]
    public async Task A_signal_ends_it_while_the_reader_stands_still(string signal, int exitCode)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs Unix signals");
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["a.raw"], new byte[4 * Images.MiB]); // more than a pipe holds
        Tools.Run("mkfifo", folder["pipe"]).EnsureSuccess();
        using var process = Start("convert", "-q", "-f", "raw", "-O", "vhd", "-S", "0", folder["a.raw"], folder["pipe"]);
        using var reader = await Task.Run(() => new FileStream(folder["pipe"], FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0)).WaitAsync(Patience.Hang);
        await reader.ReadExactlyAsync(new byte[4096]); // it is under way; the rest is left in the pipe
        Tools.Run("kill", $"-{signal}", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)).EnsureSuccess();
        await process.WaitForExitAsync().WaitAsync(Patience.Hang);
        Assert.Equal(exitCode, process.ExitCode);
    }

    [Fact]
    public void Standard_input_is_written_to_the_disk_and_read_back()
    {
        using var folder = new TempFolder();
        Run("create", "-q", folder["a.vhd"], "1M").EnsureSuccess();
        Tools.Run("dotnet", [Program, "write", folder["a.vhd"], "--offset", "1000"], Patience.Hang, "hello").EnsureSuccess();
        Assert.Equal("hello", Run("read", folder["a.vhd"], "--offset", "1000", "--length", "5").EnsureSuccess().Output);
    }

    [Theory]
    [InlineData("INT", 130)]
    [InlineData("TERM", 143)]
    [InlineData("KILL", 137)]
    public async Task A_signal_in_the_middle_leaves_the_old_target(string signal, int exitCode)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs Unix signals");
        using var folder = new TempFolder();
        var content = new byte[96 * Images.MiB];
        new Random(3).NextBytes(content);
        File.WriteAllBytes(folder["a.raw"], content);
        File.WriteAllText(folder["b.vhd"], "old");

        // The machine may be too fast or too slow for a fixed moment: the temporary file tells when the copy is under way.
        using var process = Start("convert", "-f", "raw", "-O", "vhd", "-m", "1", "--verify", folder["a.raw"], folder["b.vhd"]);
        var clock = Stopwatch.StartNew();
        while (!Directory.EnumerateFiles(folder.Path, "*.part").Any() && !process.HasExited && clock.Elapsed < Patience.Hang)
        {
            await Task.Delay(1);
        }

        Tools.Run("kill", $"-{signal}", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
        await process.WaitForExitAsync().WaitAsync(Patience.Hang);
        Assert.SkipWhen(process.ExitCode == 0, "the copy was done before the signal came");
        Assert.Equal(exitCode, process.ExitCode);
        if (new FileInfo(folder["b.vhd"]).Length == 3)
        {
            Assert.Equal("old", File.ReadAllText(folder["b.vhd"]));
        }
        else
        {
            // A slow signal may find the target named already; then it is whole.
            Assert.Equal(Images.HashOf(content), Run("hash", folder["b.vhd"]).EnsureSuccess().Output.Split(' ')[0]);
        }

        if (signal != "KILL")
        {
            Assert.Empty(Directory.EnumerateFiles(folder.Path, "*.part"));
        }

        Run("convert", "-q", "-O", "vhd", folder["a.raw"], folder["b.vhd"]).EnsureSuccess();
        Assert.Empty(Directory.EnumerateFiles(folder.Path, "*.part")); // what a killed one left, too
        Assert.Equal(Images.HashOf(content), Run("hash", folder["b.vhd"]).EnsureSuccess().Output.Split(' ')[0]);
    }

    private static ToolResult Run(params string[] args) => Tools.Run("dotnet", [Program, .. args], Patience.Hang);

    private static Process Start(params string[] args) =>
        Process.Start(new ProcessStartInfo(Tools.Require("dotnet"), [Program, .. args]) { RedirectStandardError = true })!;
}
