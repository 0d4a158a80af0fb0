using System.Text.RegularExpressions;
using VhdCore.Testing;

namespace VhdService.Guest.Nested;

/// <summary>
/// One run of every guest: an outer machine of QEMU's, whose processor is emulated and has virtualisation, runs MiniHypervisor, which runs Debian's unmodified
/// kernel. The images come back when it has ended.
/// </summary>
public sealed partial class NestedRun : IAsyncLifetime
{
    private const int Attempts = 3;

    private readonly TempFolder _folder = new();
    private readonly Dictionary<string, string[]> _lives = [];
    private readonly string _artifacts = RepositoryFiles.PathOf("artifacts/guest");
    private string _trouble = ""; // why there are lives that did not come to their ends
    private string? _lost; // the same in a sentence, where the outer machine is at fault

    /// <summary>Why nothing was run; null when it was.</summary>
    public string? SkipReason { get; private set; }

    /// <summary>What is at 1 MiB of every disk, and what guests write.</summary>
    public byte[] Pattern { get; } = new byte[NestedDisk.PatternLength];

    public async ValueTask InitializeAsync()
    {
        SkipReason = FindReason();
        if (SkipReason is not null)
        {
            return;
        }

        new Random(1).NextBytes(Pattern);
        var monitor = Publish();
        if (monitor is null)
        {
            return;
        }

        var data = Directory.CreateDirectory(_folder["data"]).FullName;
        await File.WriteAllBytesAsync(_folder["pattern"], Pattern);
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

            if (guest.HotImage is { } hot)
            {
                await new NestedDisk(DiskKind.DynamicVhdx, false).CreateAsync(data, "hot", Pattern);
                File.Move(Path.Combine(data, new NestedDisk(DiskKind.DynamicVhdx, false).File("hot")), Path.Combine(data, hot));
            }
        }

        await RunLivesAsync(monitor, data);
    }

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Skips the calling test if nothing was run.</summary>
    public void Require() => Assert.SkipUnless(SkipReason is null, SkipReason ?? "");

    /// <summary>What one guest and its monitor said, a line each. Skips the calling test if the outer machine never bore the guest to its end.</summary>
    public string[] LogOf(string guest)
    {
        Require();
        Assert.SkipWhen(_lost is not null && !_lives.ContainsKey(guest), $"QEMU cannot run this guest here: {Attempts} starts of its machine were lost. {_lost}");
        Assert.True(_lives.ContainsKey(guest), $"{guest} did not run to its end. {_trouble}");
        return _lives[guest];
    }

    /// <summary>An image as the guest has left it.</summary>
    public string ImagePath(string name) => Path.Combine(_folder["after"], name);

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

    // A machine without the network has everything that the solution needs, and not what a file that needs no .NET is made of.
    private string? Publish()
    {
        var output = _folder["monitor"];
        var result = Tools.Run(
            FindTool("dotnet")!,
            ["publish", RepositoryFiles.PathOf("samples/MiniHypervisor"), "-c", "Release", "-r", "linux-x64", "-o", output, "-nologo", "-v", "quiet"],
            TimeSpan.FromMinutes(5));
        if (result.ExitCode != 0 && Unrestored().Match(result.Output + result.Error) is { Success: true } reason)
        {
            SkipReason = $"The packages that MiniHypervisor is published with cannot be had: {reason.Value.TrimEnd('.')}.";
            return null;
        }

        result.EnsureSuccess();
        return Path.Combine(output, "MiniHypervisor");
    }

    /// <summary>
    /// Runs every life once. A start of the outer machine that is lost by itself is repeated, for the lives that it had not finished. When the last start is
    /// lost as well, what it had not finished is skipped.
    /// </summary>
    private async Task RunLivesAsync(string monitor, string data)
    {
        if (Directory.Exists(_artifacts))
        {
            Directory.Delete(_artifacts, recursive: true);
        }

        Directory.CreateDirectory(_artifacts);
        Directory.CreateDirectory(_folder["after"]);
        for (var attempt = 1; attempt <= Attempts; attempt++)
        {
            var lives = NestedGuest.All.Where(guest => !_lives.ContainsKey(guest.Name)).ToList();
            await File.WriteAllTextAsync(Path.Combine(data, "lives"), string.Concat(lives.Select(guest => guest.Line + "\n")));
            var image = _folder["host.img"];
            File.Delete(image);
            Shell(OwnFile("make-host.sh"), KernelFolder(NestedGuest.All[0].Kernel), monitor, data, image);
            var kernel = Path.Combine(data, NestedGuest.All[0].Kernel + ".vmlinuz"); // the one whose modules the outer machine has
            var limit = lives.Aggregate(TimeSpan.FromMinutes(3), (sum, guest) => sum + guest.Limit);
            var run = await OuterMachine.RunAsync(FindTool("qemu-system-x86_64")!, kernel, image, Path.Combine(_artifacts, $"outer-{attempt}"), limit);
            Keep(run, lives, image);
            if (run.LostBecause is not { } reason)
            {
                _trouble = run.Finding is { } finding ? $"{finding}\n{run.Tail()}" : "";
                _lost = null;
                return;
            }

            _lost = reason;
            _trouble = $"{reason}\n{run.Tail()}";
            var sentence = $"Start {attempt} of {Attempts} of the outer machine is lost: {_trouble}";
            await File.WriteAllTextAsync(Path.Combine(_artifacts, $"outer-{attempt}.lost"), sentence);
            Console.WriteLine(sentence);
        }
    }

    private void Keep(OuterRun run, List<NestedGuest> lives, string image)
    {
        var back = _folder["back"];
        Directory.CreateDirectory(back);
        Shell("debugfs", "-R", $"rdump /data {back}", image);
        foreach (var guest in lives.Where(guest => run.HasEnded(guest.Name) && !run.LostLives.Contains(guest.Name)))
        {
            _lives.Add(guest.Name, run.LinesOf(guest.Name));
            foreach (var file in Directory.GetFiles(Path.Combine(back, "data"), $"{guest.Name}-*"))
            {
                File.Move(file, ImagePath(Path.GetFileName(file)));
            }
        }

        Directory.Delete(back, recursive: true);
    }

    [GeneratedRegex(@"NU1(?:1\d\d|3\d\d): [^\r\n]*|Unable to load the service index[^\r\n]*")]
    private static partial Regex Unrestored();
}

/// <summary>What a program said.</summary>
/// <param name="Output">Standard output.</param>
/// <param name="Error">Standard error.</param>
public sealed record ToolOutput(string Output, string Error);
