using System.Security.Cryptography;

namespace VhdCli.Tests;

/// <summary>Images to run on.</summary>
internal static class Images
{
    public const int MiB = 1 << 20;

    /// <summary>The leaf of the chain that the repository carries.</summary>
    public static string ChainLeaf => Path.Combine(Root, "samples", "images", "xen-chain", "leaf.vhd");

    /// <summary>The SHA-256 of its content.</summary>
    public static string ChainLeafHash => File.ReadAllText(Path.ChangeExtension(ChainLeaf, ".sha256")).Split(' ')[0];

    private static string Root
    {
        get
        {
            var folder = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(folder, "VhdKit.sln")))
            {
                folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("These tests run from inside the repository.");
            }

            return folder;
        }
    }

    /// <summary>Writes a raw image with a few runs of data between zeros.</summary>
    public static byte[] WriteRaw(string path, int length, int seed = 1)
    {
        var content = new byte[length];
        var random = new Random(seed);
        for (var i = 0; i < 5; i++)
        {
            var start = random.Next(0, length / 512) * 512;
            random.NextBytes(content.AsSpan(start, Math.Min(length - start, random.Next(1, 300) * 512)));
        }

        File.WriteAllBytes(path, content);
        return content;
    }

    public static string HashOf(string path) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));

    public static string HashOf(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}
