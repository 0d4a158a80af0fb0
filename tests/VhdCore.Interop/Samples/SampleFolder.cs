using System.IO.Compression;
using System.Security.Cryptography;
using VhdCore.Testing;

namespace VhdCore.Interop.Samples;

/// <summary>Images made by other programs. They lie beside the checkout, gzip'd, and are unpacked into a folder of the test's own.</summary>
internal sealed class SampleFolder : IDisposable
{
    private readonly TempFolder _folder = new();

    /// <summary>Where the unpacked samples lie.</summary>
    public string Path => _folder.Path;

    /// <summary>The absolute name of something in the folder.</summary>
    public string this[string name] => _folder[name];

    /// <summary>Unpacks the named samples; skips the calling test where the samples are absent.</summary>
    public static SampleFolder With(params string[] names)
    {
        var source = Environment.GetEnvironmentVariable("VHDKIT_SAMPLES") ?? System.IO.Path.Combine(RepositoryFiles.Root, "..", "shared", "samples");
        Assert.SkipUnless(Directory.Exists(source), "No sample images at ../shared/samples or $VHDKIT_SAMPLES.");
        var samples = new SampleFolder();
        try
        {
            foreach (var name in names)
            {
                samples.Unpack(source, name);
            }

            return samples;
        }
        catch
        {
            samples.Dispose();
            throw;
        }
    }

    /// <summary>Lower-case hex digits.</summary>
    public static string HashOfFile(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    public void Dispose() => _folder.Dispose();

    private void Unpack(string source, string name)
    {
        var plain = System.IO.Path.Combine(source, name);
        if (File.Exists(plain))
        {
            File.Copy(plain, this[name]);
            File.SetAttributes(this[name], FileAttributes.Normal);
            return;
        }

        using var packed = new GZipStream(File.OpenRead(plain + ".gz"), CompressionMode.Decompress);
        using var file = File.Create(this[name]);
        packed.CopyTo(file);
    }
}
