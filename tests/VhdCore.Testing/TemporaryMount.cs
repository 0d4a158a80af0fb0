using System.Diagnostics;

namespace VhdCore.Testing;

/// <summary>A file system of its own, mounted until it is disposed of. Skips the calling test where mounting is not allowed.</summary>
internal sealed class TemporaryMount : IDisposable
{
    private TemporaryMount(string path) => Path = path;

    /// <summary>Where it is mounted.</summary>
    public string Path { get; }

    /// <summary>A file system in memory, of a size.</summary>
    public static TemporaryMount Tmpfs(string path, int sizeMiB) => Mount(path, "-t", "tmpfs", "-o", $"size={sizeMiB}m", "none");

    /// <summary>The file system in an image file, through a loop device.</summary>
    public static TemporaryMount Image(string path, string image, string options = "") => Mount(path, "-o", "loop" + (options.Length > 0 ? "," + options : ""), image);

    public void Dispose()
    {
        // A program that another test is just starting has this one's files open for a moment.
        var result = Tools.Run("umount", Path);
        for (var since = Stopwatch.StartNew(); result.ExitCode != 0 && since.Elapsed < Patience.Hang; result = Tools.Run("umount", Path))
        {
            Thread.Sleep(10);
        }

        result.EnsureSuccess();
    }

    private static TemporaryMount Mount(string path, params string[] arguments)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Mounts as Linux does.");
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Mounting needs root.");
        Directory.CreateDirectory(path);
        var result = Tools.Run("mount", [.. arguments, path]);
        Assert.SkipUnless(result.ExitCode == 0, $"Mounting is not allowed here: {result.Error.Trim()}");
        return new TemporaryMount(path);
    }
}
