using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;

namespace VhdCore.Tests.Operations;

/// <summary>On file systems whose files can share ranges, a conversion moves no payload.</summary>
public sealed class ConvertCloneTests : IDisposable
{
    private const int Size = 24 << 20;

    private readonly TempFolder _folder = new();

    public static TheoryData<string, ImageFormat, ImageFormat> Pairs => [.. from fileSystem in new[] { "xfs", "btrfs" } from pair in FormatPairs select (fileSystem, pair.From, pair.To)];

    private static (ImageFormat From, ImageFormat To)[] FormatPairs =>
    [
        (ImageFormat.Raw, ImageFormat.Vhdx), (ImageFormat.Raw, ImageFormat.Vhd), (ImageFormat.Vhdx, ImageFormat.Raw), (ImageFormat.Vhd, ImageFormat.Vhdx), (ImageFormat.Vhdx, ImageFormat.Vhd),
    ];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Ranges_are_shared_and_stay_independent(string fileSystem, ImageFormat from, ImageFormat to)
    {
        using var mount = Mount(fileSystem);
        var (source, target) = (Path.Combine(mount.Path, "source"), Path.Combine(mount.Path, "target"));
        await CreateAsync(source, from);
        var before = await HashAsync(source, from);

        var result = await ConvertAsync(source, from, target, to, new ConvertOptions { TargetIsZero = true, Verify = true });

        Assert.Equal(0, result.BytesRead);
        Assert.InRange(result.BytesCloned, 6 << 20, Size);
        Assert.Equal(Size, result.BytesCloned + result.BytesZero);
        Assert.Equal(before, await HashAsync(target, to));

        await using (var disk = await VirtualDisk.OpenAsync(target, new ImageOpenOptions { Writable = true, Format = to }))
        {
            await disk.WriteAsync(1 << 20, new byte[1 << 20]);
        }

        Assert.Equal(before, await HashAsync(source, from));
        Assert.NotEqual(before, await HashAsync(target, to));
    }

    [Fact]
    public async Task Every_byte_is_copied_where_that_is_asked_for()
    {
        using var mount = Mount("xfs");
        var (source, target) = (Path.Combine(mount.Path, "source"), Path.Combine(mount.Path, "target"));
        await CreateAsync(source, ImageFormat.Raw);

        var result = await ConvertAsync(source, ImageFormat.Raw, target, ImageFormat.Vhdx, new ConvertOptions { TargetIsZero = true, AllowCloning = false });

        Assert.Equal(0, result.BytesCloned);
        Assert.Equal(await HashAsync(source, ImageFormat.Raw), await HashAsync(target, ImageFormat.Vhdx));
    }

    [Fact]
    public async Task Between_two_file_systems_bytes_are_copied()
    {
        using var mount = Mount("xfs");
        var target = Path.Combine(mount.Path, "target");
        await CreateAsync(_folder["source"], ImageFormat.Raw);

        var result = await ConvertAsync(_folder["source"], ImageFormat.Raw, target, ImageFormat.Vhdx, new ConvertOptions { TargetIsZero = true });

        Assert.Equal(0, result.BytesCloned);
        Assert.Equal(await HashAsync(_folder["source"], ImageFormat.Raw), await HashAsync(target, ImageFormat.Vhdx));
    }

    [Fact]
    public async Task A_range_off_the_grid_is_copied()
    {
        using var mount = Mount("xfs");
        var (source, target) = (Path.Combine(mount.Path, "source"), Path.Combine(mount.Path, "target"));
        await CreateAsync(source, ImageFormat.Raw);
        await using (var file = File.OpenWrite(source))
        {
            file.SetLength(Size + 512); // its last sector is no whole page
            file.Position = Size;
            file.Write(new byte[] { 1, 2, 3 });
        }

        await ConvertAsync(source, ImageFormat.Raw, target, ImageFormat.Vhdx, new ConvertOptions { TargetIsZero = true, Verify = true });

        Assert.Equal(await HashAsync(source, ImageFormat.Raw), await HashAsync(target, ImageFormat.Vhdx));
    }

    private TemporaryMount Mount(string fileSystem)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "Mounting needs root, on Linux.");
        Assert.SkipUnless(Tools.Find("mkfs." + fileSystem) is not null, $"There is no mkfs.{fileSystem} here.");
        using (var image = File.OpenHandle(_folder["fs"], FileMode.CreateNew, FileAccess.Write))
        {
            RandomAccess.SetLength(image, 400L << 20);
        }

        Tools.Run("mkfs." + fileSystem, "-q", _folder["fs"]).EnsureSuccess();
        return TemporaryMount.Image(_folder["mounted"], _folder["fs"]);
    }

    private static async Task CreateAsync(string path, ImageFormat format)
    {
        await using var disk = await VirtualDisk.CreateAsync(path, new ImageCreateOptions { Format = format, Size = Size, BlockSize = format == ImageFormat.Raw ? null : 2 << 20 });
        var bytes = new byte[3 << 20];
        new Random(11).NextBytes(bytes);
        await disk.WriteAsync(0, bytes);
        await disk.WriteAsync(10 << 20, bytes);
    }

    private static async Task<ConvertResult> ConvertAsync(string source, ImageFormat from, string target, ImageFormat to, ConvertOptions options)
    {
        await using var disk = await VirtualDisk.OpenAsync(source, new ImageOpenOptions { Format = from });
        await using var copy = await VirtualDisk.CreateAsync(target, new ImageCreateOptions { Format = to, Size = disk.Length });
        return await ConvertOperation.RunAsync(disk.Device, copy.Device, options);
    }

    private static async Task<string> HashAsync(string path, ImageFormat format)
    {
        await using var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Format = format });
        return Convert.ToHexString(await HashOperation.RunAsync(disk.Device));
    }
}
