using VhdCore.Testing;

namespace VhdCore.Interop.Peers;

/// <summary>An image and its parents as libvhdi shows them: files under a FUSE mount, one for each image, the base first. Unmounted on dispose.</summary>
internal sealed class LibvhdiMount : IDisposable
{
    private readonly TempFolder _folder = new();
    private bool _mounted;

    private LibvhdiMount()
    {
    }

    /// <summary>Mounts an image; skips the calling test where vhdimount or FUSE is missing.</summary>
    public static LibvhdiMount Of(string image)
    {
        Tools.Require("vhdimount");
        Tools.Require("fusermount");
        Assert.SkipUnless(File.Exists("/dev/fuse"), "There is no /dev/fuse: vhdimount cannot mount.");
        var mount = new LibvhdiMount();
        try
        {
            var result = Tools.Run("vhdimount", image, mount._folder.Path);
            Assert.SkipWhen(
                result.ExitCode != 0 && (result.Output + result.Error).Contains("fusermount", StringComparison.Ordinal),
                "FUSE mounts are not permitted here: " + result.Error);
            result.EnsureSuccess();
            mount._mounted = true;
            return mount;
        }
        catch
        {
            mount.Dispose();
            throw;
        }
    }

    /// <summary>Files under the mount, base first.</summary>
    public IReadOnlyList<string> Disks() =>
        [.. Directory.EnumerateFiles(_folder.Path, "vhdi*").OrderBy(path => path.Length).ThenBy(path => path, StringComparer.Ordinal)];

    /// <summary>The content of the image that was named.</summary>
    public FileStream OpenLeaf() => File.OpenRead(Disks()[^1]);

    public void Dispose()
    {
        if (_mounted)
        {
            Tools.Run("fusermount", "-u", "-z", _folder.Path).EnsureSuccess();
        }

        _folder.Dispose();
    }
}
