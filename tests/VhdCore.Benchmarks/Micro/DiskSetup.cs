using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;

namespace VhdCore.Benchmarks.Micro;

/// <summary>The disks that requests are measured on, in a folder of temporary files.</summary>
internal static class DiskSetup
{
    public const int Size = 64 << 20; // bytes of disk

    private const int ChunkSize = 64 << 10; // bytes that one image of a chain holds in a row

    public static IEnumerable<string> Names =>
    [
        "raw", "vhd-fixed", "vhd-dynamic", "vhdx-fixed", "vhdx-dynamic", "vhd-chain-3", "vhd-chain-30", "vhdx-chain-3", "vhdx-chain-30",
    ];

    /// <summary>Makes a disk full of random data, spread over all images of its chain, and opens it.</summary>
    public static async Task<VirtualDisk> OpenAsync(TempFolder folder, string name, bool writable)
    {
        var parts = name.Split('-');
        var format = parts[0] switch { "vhd" => ImageFormat.Vhd, "vhdx" => ImageFormat.Vhdx, _ => ImageFormat.Raw };
        var depth = parts is [_, "chain", var count] ? int.Parse(count) : 1;
        var kind = parts is [_, "fixed"] or ["raw"] ? ImageKind.Fixed : ImageKind.Dynamic;
        for (var i = 0; i < depth; i++)
        {
            await CreateAsync(folder[$"{i}.{parts[0]}"], format, i == 0 ? kind : ImageKind.Differencing, i == 0 ? null : folder[$"{i - 1}.{parts[0]}"], i, depth);
        }

        return await VirtualDisk.OpenAsync(folder[$"{depth - 1}.{parts[0]}"], new ImageOpenOptions { Format = format, Writable = writable });
    }

    private static async Task CreateAsync(string path, ImageFormat format, ImageKind kind, string? parent, int index, int depth)
    {
        await using var disk = await VirtualDisk.CreateAsync(
            path, new ImageCreateOptions { Format = format, Kind = kind, Parent = parent, Size = parent is null ? Size : null });
        var bytes = new byte[ChunkSize];
        var random = new Random(index);
        for (var offset = 0L; offset < Size; offset += ChunkSize)
        {
            if (index == 0 || offset / ChunkSize % depth == index)
            {
                random.NextBytes(bytes);
                await disk.WriteAsync(offset, bytes);
            }
        }

        await disk.FlushAsync();
    }
}
