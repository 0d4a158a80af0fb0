using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Matrix;

/// <summary>Random writes, zeros and reopenings through our device; then all readers agree. The seed is in the test's name.</summary>
public sealed class RandomWritesTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 12)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Random_images_read_alike_everywhere(int seed)
    {
        var random = new Random(seed);
        using var folder = new TempFolder();
        var kind = seed % 3 == 0 ? ImageKind.Fixed : ImageKind.Dynamic;
        var size = random.NextInt64(1, 12_000) * 512;
        var blockSize = kind == ImageKind.Fixed ? (int?)null : 512 << (random.Next(2) == 0 ? 12 : random.Next(10, 13));
        var model = new SparseModel(size);
        await using (await VirtualDisk.CreateAsync(folder["disk.vhd"], new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = kind, Size = size, BlockSize = blockSize }))
        {
        }

        await ScribbleAsync(folder["disk.vhd"], model, random);
        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"], mayLeak: true);
        Expect.Independent(model, folder["disk.vhd"]);
        Expect.Independent(model, folder["disk.vhd"], PlainRules.LikeQemu);
        Expect.Libvhdi(model, folder["disk.vhd"], sectorsAreWholeBytes: true);
        Expect.Qemu(model, folder["disk.vhd"], folder["disk.raw"]);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Random_chains_read_alike(int seed)
    {
        var random = new Random(1000 + seed);
        using var folder = new TempFolder();
        var model = new SparseModel(random.NextInt64(1, 8_000) * 512);
        string? parent = null;
        for (var depth = 0; depth < 4; depth++)
        {
            var path = folder[$"disk{depth}.vhd"];
            model = model.Copy(model.Length + (random.Next(3) == 0 ? random.Next(1, 3000) * 512 : 0));
            var options = new ImageCreateOptions
            {
                Format = ImageFormat.Vhd,
                Kind = parent is null ? ImageKind.Dynamic : ImageKind.Differencing,
                Parent = parent,
                Size = model.Length,
                BlockSize = 512 << random.Next(3, 13),
            };
            await using (await VirtualDisk.CreateAsync(path, options))
            {
            }

            await ScribbleAsync(path, model, random);
            await Expect.OursAsync(model, path);
            await Expect.SoundAsync(path, mayLeak: true);
            Expect.Independent(model, path);
            parent = path;
        }
    }

    private static async Task ScribbleAsync(string path, SparseModel model, Random random)
    {
        for (var session = 0; session < 3; session++)
        {
            await using var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Writable = true });
            for (var i = 0; i < 25; i++)
            {
                var unit = random.Next(3) switch { 0 => 1, 1 => 512, _ => 4096 };
                var offset = random.NextInt64(model.Length) / unit * unit;
                var bytes = new byte[Math.Min(model.Length - offset, random.Next(1, 20) * (unit == 1 ? 321L : unit))];
                switch (random.Next(10))
                {
                    case 0 or 1:
                        await disk.ZeroAsync(offset, bytes.Length);
                        break;
                    case 2:
                        // Trimmed ranges hold zeros or what they held.
                        await disk.TrimAsync(offset, bytes.Length);
                        await disk.ReadAsync(offset, bytes);
                        Assert.Equal(-1, Enumerable.Range(0, bytes.Length).FirstOrDefault(at => bytes[at] != 0 && bytes[at] != model.Read(offset + at, 1)[0], -1));
                        break;
                    default:
                        random.NextBytes(bytes);
                        await disk.WriteAsync(offset, bytes);
                        break;
                }

                model.Write(offset, bytes);
            }
        }
    }
}
