using System.IO.Compression;
using System.Runtime.CompilerServices;
using VhdCore.Testing;

namespace VhdCore.Tests.Vhd;

/// <summary>Sample images from other programs, which lie beside the repository and not in it.</summary>
internal static class VhdSamples
{
    private static readonly string? Folder = Find();

    /// <summary>The sample's bytes; skips the test where there are none.</summary>
    public static byte[] Read(string name)
    {
        var path = Path.Combine(Folder ?? "", name);
        Assert.SkipUnless(Folder is not null && (File.Exists(path) || File.Exists(path + ".gz")), $"The sample {name} is neither in $VHDKIT_SAMPLES nor in ../shared/samples.");
        if (File.Exists(path))
        {
            return File.ReadAllBytes(path);
        }

        using var packed = new GZipStream(File.OpenRead(path + ".gz"), CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        packed.CopyTo(bytes);
        return bytes.ToArray();
    }

    /// <summary>The sample in memory.</summary>
    public static MemoryStorage Open(string name) => Of(Read(name), name);

    /// <summary>An image of these bytes in memory.</summary>
    public static MemoryStorage Of(byte[] bytes, string name = "image.vhd")
    {
        var storage = new MemoryStorage(name);
        storage.Replace(bytes);
        return storage;
    }

    private static string? Find([CallerFilePath] string thisFile = "")
    {
        var named = Environment.GetEnvironmentVariable("VHDKIT_SAMPLES");
        var beside = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(thisFile)!, "..", "..", "..", "..", "shared", "samples"));
        return new[] { named, beside }.FirstOrDefault(Directory.Exists);
    }
}
