using System.IO.Compression;
using System.Runtime.CompilerServices;
using VhdCore.Testing;

namespace VhdCore.Tests.Vhdx;

/// <summary>Sample images of other programs, unpacked into a folder of the test's own. They lie beside the repository and not in it.</summary>
internal static class VhdxSamples
{
    /// <summary>The samples, and the SHA-256 of the content of each after replay.</summary>
    public static readonly TheoryData<string, string> Hashes = new()
    {
        { "ltrdata-vhdx-log-replay.vhdx", "3ba3b309425b7ff5e8e0199edceed95226250f880c53b24e8eae93865f3fad5e" },
        { "ltrdata-btrfs.vhdx", "0b959f9cb4e18348ad8b646f152178282542c8304f02fddf765e3fd1a1de6864" },
        { "ltrdata-lvm2.vhdx", "f7dc6812a3b12a35f3ec895ce981bd59ff4558270fc80cd812c9cd522bff1295" },
        { "qemu-iotest-dynamic-1G.vhdx", "d3d112d8dab7fd360609f7d5a7b769904b7a2a7d7b6b8c535f65a23293c05478" },
        { "qemu-iotest-dirtylog-10G-4M.vhdx", "179cefe8b0587f123393eedf2aa7aa8d25798591178e6bc3950a09762f38f96f" },
    };

    /// <summary>Those that the independent reader goes through in a second or two.</summary>
    public static readonly TheoryData<string, string> HashesOfSmall = new(Hashes.Where(row => !row.Data.Item1.Contains("10G", StringComparison.Ordinal) && !row.Data.Item1.Contains("lvm2", StringComparison.Ordinal)));

    private static readonly string? Folder = Find();

    /// <summary>The sample, unpacked into <paramref name="into"/> with its zeros left out; skips the test where there are no samples.</summary>
    public static string Unpack(string name, TempFolder into)
    {
        var packedName = Path.Combine(Folder ?? "", name + ".gz");
        Assert.SkipUnless(Folder is not null && File.Exists(packedName), $"The sample {name}.gz is neither in $VHDKIT_SAMPLES nor in ../shared/samples.");
        var path = into[name];
        using var packed = new GZipStream(File.OpenRead(packedName), CompressionMode.Decompress);
        using var file = File.Create(path);
        var part = new byte[1 << 20];
        int got;
        while ((got = packed.ReadAtLeast(part, part.Length, throwOnEndOfStream: false)) > 0)
        {
            if (part.AsSpan(0, got).ContainsAnyExcept((byte)0))
            {
                file.Write(part, 0, got);
            }
            else
            {
                file.SetLength(file.Position + got);
                file.Position += got;
            }
        }

        return path;
    }

    private static string? Find([CallerFilePath] string thisFile = "")
    {
        var named = Environment.GetEnvironmentVariable("VHDKIT_SAMPLES");
        var beside = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(thisFile)!, "..", "..", "..", "..", "shared", "samples"));
        return new[] { named, beside }.FirstOrDefault(Directory.Exists);
    }
}
