using VhdCore.Testing;

namespace VhdService.Guest.Nested;

/// <summary>
/// One run of every guest: an outer machine of QEMU's, whose processor is emulated and has virtualisation, runs MiniHypervisor, which runs Debian's unmodified
/// kernel. The images come back when it has ended.
/// </summary>
public sealed class NestedRun : IAsyncLifetime
{
    private const string HotImage = "hot.vhdx";
    private const string Marker = "LIFE ";

    private readonly TempFolder _folder = new();
    private string _log = "";

    /// <summary>Why nothing was run; null when it was.</summary>
    public string? SkipReason { get; private set; }

    /// <summary>What is at 1 MiB of every disk, and what guests write.</summary>
    public byte[] Pattern { get; } = new byte[NestedDisk.PatternLength];

    /// <summary>The disk that is plugged in while a guest runs.</summary>
    public string HotPath => ImagePath(HotImage);

    public async ValueTask InitializeAsync()
    {
        SkipReason = FindReason();
        if (SkipReason is not null)
        {
            return;
        }

        new Random(1).NextBytes(Pattern);
        var monitor = Publish();
        var data = Directory.CreateDirectory(_folder["data"]).FullName;
        await File.WriteAllBytesAsync(_folder["pattern"], Pattern);
        await File.WriteAllTextAsync(Path.Combine(data, "lives"), string.Concat(NestedGuest.All.Select(guest => guest.Line + "\n")));
        foreach (var kernel in NestedGuest.All.Select(guest => guest.Kernel).Distinct())
        {
            File.Copy(Directory.GetFiles(Path.Combine(KernelFolder(kernel), "boot"), "vmlinuz-*").Single(), Path.Combine(data, kernel + ".vmlinuz"));
            Shell(
                RepositoryFiles.PathOf("samples/MiniHypervisor/make-initrd.sh"), "--modules", KernelFolder(kernel), "--init", OwnFile("guest-init.sh"),
                "--output", Path.Combine(data, kernel + ".img"), "--program", "mke2fs", "--file", _folder["pattern"] + "=/pattern");
        }

        foreach (var guest in NestedGuest.All)
        {
            foreach (var disk in guest.Disks)
            {
                await disk.CreateAsync(data, guest.Name, Pattern);
            }
        }

        await new NestedDisk(DiskKind.DynamicVhdx, false).CreateAsync(data, "hot", Pattern);
        File.Move(Path.Combine(data, new NestedDisk(DiskKind.DynamicVhdx, false).File("hot")), Path.Combine(data, HotImage));

        Shell(OwnFile("make-host.sh"), KernelFolder(NestedGuest.All[0].Kernel), monitor, data, _folder["host.img"]);
        Boot(data);
        Directory.CreateDirectory(_folder["after"]);
        Shell("debugfs", "-R", $"rdump /data {_folder["after"]}", _folder["host.img"]);
    }

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Skips the calling test if nothing was run.</summary>
    public void Require() => Assert.SkipUnless(SkipReason is null, SkipReason ?? "");

    /// <summary>What the outer machine and one guest said, a line each.</summary>
    public string[] LogOf(string guest)
    {
        Require();
        var start = _log.IndexOf($"{Marker}{guest} BEGIN", StringComparison.Ordinal);
        var end = _log.IndexOf($"{Marker}{guest} END", StringComparison.Ordinal);
        Assert.True(start >= 0 && end > start, $"{guest} did not run to its end:\n{_log[Math.Max(0, _log.Length - 6000)..]}");
        return _log[start..end].Split('\n');
    }

    /// <summary>An image as the guest has left it.</summary>
    public string ImagePath(string name) => Path.Combine(_folder["after"], "data", name);

    /// <summary>A file for what a test works out.</summary>
    public string Scratch(string name) => _folder[name];

    /// <summary>Runs a program that has to succeed.</summary>
    public static ToolOutput Shell(string program, params string[] arguments)
    {
        var result = Tools.Run(Path.IsPathFullyQualified(program) ? program : FindTool(program)!, arguments, TimeSpan.FromMinutes(5));
        result.EnsureSuccess();
        return new ToolOutput(result.Output, result.Error);
    }

    /// <summary>A program's path, also where only root's PATH leads.</summary>
    public static string? FindTool(string program) =>
        Tools.Find(program) ?? new[] { "/usr/sbin/", "/sbin/" }.Select(folder => folder + program).FirstOrDefault(File.Exists);

    private static string KernelFolder(string kernel) => RepositoryFiles.PathOf($"artifacts/kernels/{kernel}");

    private static string OwnFile(string name) => RepositoryFiles.PathOf($"tests/VhdService.Guest/Nested/{name}");

    private static string? FindReason()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "Guests are run on Linux.";
        }

        var missing = new[] { "qemu-system-x86_64", "busybox", "depmod", "cpio", "gzip", "xz", "mke2fs", "e2fsck", "debugfs", "dotnet" }.Where(tool => FindTool(tool) is null).ToList();
        if (missing.Count > 0)
        {
            return $"Not installed: {string.Join(", ", missing)}. tests/run.sh installs what it may.";
        }

        return NestedGuest.All.Select(guest => guest.Kernel).Distinct().FirstOrDefault(kernel => !Directory.Exists(Path.Combine(KernelFolder(kernel), "boot"))) is { } absent
            ? $"There is no kernel of {absent} in artifacts/kernels: tests/run.sh fetches it."
            : null;
    }

    private string Publish()
    {
        var output = _folder["monitor"];
        Shell("dotnet", "publish", RepositoryFiles.PathOf("samples/MiniHypervisor"), "-c", "Release", "-r", "linux-x64", "-o", output, "-nologo", "-v", "quiet");
        return Path.Combine(output, "MiniHypervisor");
    }

    private void Boot(string data)
    {
        var kernel = Path.Combine(data, NestedGuest.All[0].Kernel + ".vmlinuz"); // the one whose modules the outer machine has
        var limit = TimeSpan.FromMinutes(5 + (5 * NestedGuest.All.Count));
        var result = Tools.Run(
            FindTool("qemu-system-x86_64")!,
            [
                "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,+svm", "-smp", "2", "-m", "1536", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
                "-net", "none", "-kernel", kernel,
                "-append", "console=ttyS0 root=/dev/nvme0n1 rootwait rw init=/init panic=-1 quiet mitigations=off nokaslr no_timer_check",
                "-drive", $"file={_folder["host.img"]},format=raw,if=none,id=root,cache=unsafe", "-device", "nvme,serial=host,drive=root",
            ],
            limit);
        _log = result.Output.Replace("\r", "", StringComparison.Ordinal);
        var transcript = RepositoryFiles.PathOf("artifacts/guest-transcript.log");
        Directory.CreateDirectory(Path.GetDirectoryName(transcript)!);
        File.WriteAllText(transcript, _log);
        Assert.True(_log.Contains("HOST done", StringComparison.Ordinal), $"The outer machine did not run to its end:\n{_log[Math.Max(0, _log.Length - 6000)..]}{result.Error}");
    }
}

/// <summary>What a program said.</summary>
/// <param name="Output">Standard output.</param>
/// <param name="Error">Standard error.</param>
public sealed record ToolOutput(string Output, string Error);
