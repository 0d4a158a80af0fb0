using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;

namespace VhdCore.Interop.Matrix;

/// <summary>Random writes, zeros, trims and reopenings of VHDXs; then all readers agree. The seed is in the test's name.</summary>
public sealed class VhdxRandomWritesTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 12)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Random_images_read_alike_everywhere(int seed)
    {
        var random = new Random(seed);
        using var folder = new TempFolder();
        var sectorSize = seed % 4 == 0 ? 4096 : 512;
        var model = new SparseModel(random.NextInt64(1, 32_000 * 512 / sectorSize) * sectorSize);
        var options = new ImageCreateOptions
        {
            Format = ImageFormat.Vhdx,
            Kind = seed % 3 == 0 ? ImageKind.Fixed : ImageKind.Dynamic,
            Size = model.Length,
            BlockSize = 1 << random.Next(20, 23),
            LogicalSectorSize = sectorSize,
        };
        await using (await VirtualDisk.CreateAsync(folder["a.vhdx"], options))
        {
        }

        await ScribbleAsync(folder["a.vhdx"], model, random);
        await Expect.OursAsync(model, folder["a.vhdx"]);
        await Expect.SoundAsync(folder["a.vhdx"]);
        ExpectVhdx.Independent(model, folder["a.vhdx"]);
        await ExpectVhdx.MapAsync(folder["a.vhdx"]);
        ExpectVhdx.Libvhdi(model, folder["a.vhdx"]);
        if (sectorSize == 512)
        {
            ExpectVhdx.Qemu(model, folder["a.vhdx"]);
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Random_chains_read_alike(int seed)
    {
        var random = new Random(1000 + seed);
        using var folder = new TempFolder();
        var sectorSize = seed % 2 == 0 ? 4096 : 512;
        var model = new SparseModel(random.NextInt64(1, 16_000 * 512 / sectorSize) * sectorSize);
        List<string> chain = [];
        for (var depth = 0; depth < 4; depth++)
        {
            var path = folder[$"disk{depth}.vhdx"];
            model = model.Copy(model.Length + (random.Next(3) == 0 ? random.Next(1, 300) * 4096 : 0));
            var options = new ImageCreateOptions
            {
                Format = ImageFormat.Vhdx,
                Kind = depth > 0 ? ImageKind.Differencing : seed % 5 == 0 ? ImageKind.Fixed : ImageKind.Dynamic,
                Parent = chain.FirstOrDefault(),
                Size = model.Length,
                BlockSize = 1 << random.Next(20, 23),
                LogicalSectorSize = depth == 0 ? sectorSize : null,
            };
            await using (await VirtualDisk.CreateAsync(path, options))
            {
            }

            chain.Insert(0, path);
            await ScribbleAsync(path, model, random);
            await Expect.OursAsync(model, path);
            await Expect.SoundAsync(path);
            ExpectVhdx.Independent(model, [.. chain]);
            await ExpectVhdx.MapAsync([.. chain]);
        }
    }

    private static async Task ScribbleAsync(string path, SparseModel model, Random random)
    {
        for (var session = 0; session < 3; session++)
        {
            await using var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Writable = true });
            for (var i = 0; i < 20; i++)
            {
                var unit = random.Next(4) switch { 0 => 1, 1 => 512, 2 => 4096, _ => 1 << 20 };
                var offset = random.NextInt64(model.Length) / unit * unit;
                var bytes = new byte[Math.Min(model.Length - offset, unit == 1 << 20 ? random.Next(1, 4) * (long)unit : random.Next(1, 20) * (unit == 1 ? 321L : unit))];
                switch (random.Next(10))
                {
                    case 0 or 1:
                        await disk.ZeroAsync(offset, bytes.Length);
                        break;
                    case 2 or 3:
                        // Trimmed ranges hold zeros or what they held.
                        await disk.TrimAsync(offset, bytes.Length);
                        await disk.ReadAsync(offset, bytes);
                        var before = model.Read(offset, bytes.Length);
                        for (var at = 0; at < bytes.Length; at++)
                        {
                            Assert.True(bytes[at] == 0 || bytes[at] == before[at], $"Byte {offset + at} was trimmed, and is neither zero nor what it was.");
                        }

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
