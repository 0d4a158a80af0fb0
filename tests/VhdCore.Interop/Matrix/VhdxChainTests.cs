using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;

namespace VhdCore.Interop.Matrix;

/// <summary>Chains of VHDXs that the library creates and writes, as the independent reader and libvhdi read them. QEMU reads no differencing VHDX.</summary>
public sealed class VhdxChainTests
{
    public static TheoryData<long, int, int, int> Shapes
    {
        get
        {
            var data = new TheoryData<long, int, int, int>();
            foreach (var sectorSize in new[] { 512, 4096 })
            {
                foreach (var (rootBlockSize, blockSize) in new[] { (1 << 20, 1 << 20), (1 << 20, 2 << 20), (32 << 20, 1 << 20), (2 << 20, 256 << 20), (256 << 20, 32 << 20) })
                {
                    foreach (var size in new[] { Sizes.MiB - 4096, (5 * Sizes.MiB) + 8192, (100 * Sizes.MiB) + 4096 })
                    {
                        data.Add(size, rootBlockSize, blockSize, sectorSize);
                    }
                }

                // The smallest, across a chunk's end, and the largest.
                foreach (var size in new[] { 4096, (33 * Sizes.GiB) + 4096, 64 * 1024 * Sizes.GiB })
                {
                    data.Add(size, 1 << 20, 2 << 20, sectorSize);
                    data.Add(size, 32 << 20, 1 << 20, sectorSize);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task A_chain_of_three_with_blocks_in_part_reads_alike_everywhere(long size, int rootBlockSize, int blockSize, int sectorSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder, ImageKind.Dynamic, size, size, rootBlockSize, blockSize, sectorSize);
        await ExpectAsync(model, folder);
        ExpectVhdx.Libvhdi(model, folder["leaf.vhdx"]);
    }

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task A_child_larger_than_its_parent_has_zeros_behind_it(int sectorSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder, ImageKind.Dynamic, 3 * Sizes.MiB, (7 * Sizes.MiB) + 4096, 2 << 20, 1 << 20, sectorSize);
        await ExpectAsync(model, folder);
    }

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task A_chain_on_a_fixed_disk_reads_alike(int sectorSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder, ImageKind.Fixed, 6 * Sizes.MiB, 6 * Sizes.MiB, 2 << 20, 2 << 20, sectorSize);
        await ExpectAsync(model, folder);
        ExpectVhdx.Libvhdi(model, folder["leaf.vhdx"]);
    }

    [Fact]
    public async Task A_parent_of_another_folder_and_of_a_name_beyond_ASCII_is_found()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["Basis über 中"]);
        var root = folder["Basis über 中/Wurzel ß.vhdx"];
        var model = new SparseModel(3 * Sizes.MiB);
        await using (var disk = await VirtualDisk.CreateAsync(root, new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = model.Length }))
        {
            await DiskPattern.WriteAsync(disk, model, 2 << 20, seed: 6);
        }

        await using (await VirtualDisk.CreateAsync(folder["leaf.vhdx"], new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = ImageKind.Differencing, Parent = root }))
        {
        }

        await Expect.OursAsync(model, folder["leaf.vhdx"]);
        ExpectVhdx.Independent(model, folder["leaf.vhdx"], root);
        Directory.Move(folder.Path, folder.Path + " moved"); // both together
        try
        {
            await Expect.OursAsync(model, Path.Combine(folder.Path + " moved", "leaf.vhdx"));
        }
        finally
        {
            Directory.Move(folder.Path + " moved", folder.Path);
        }

        Directory.CreateDirectory(folder["elsewhere"]);
        File.Move(folder["leaf.vhdx"], folder["elsewhere/leaf.vhdx"]); // the child alone
        await Expect.OursAsync(model, folder["elsewhere/leaf.vhdx"]);
    }

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task A_chain_becomes_one_image_of_any_format_and_back(int sectorSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder, ImageKind.Dynamic, (9 * Sizes.MiB) + 4096, (9 * Sizes.MiB) + 4096, 1 << 20, 2 << 20, sectorSize);
        model.WriteRaw(folder["model.raw"]);
        ImageCreateOptions[] targets =
        [
            new() { Format = ImageFormat.Raw },
            new() { Format = ImageFormat.Vhd },
            new() { Format = ImageFormat.Vhd, Kind = ImageKind.Fixed },
            new() { Format = ImageFormat.Vhdx, BlockSize = 1 << 20 },
            new() { Format = ImageFormat.Vhdx, Kind = ImageKind.Fixed, BlockSize = 8 << 20 },
            new() { Format = ImageFormat.Vhdx, LogicalSectorSize = 4096 },
        ];
        for (var i = 0; i < targets.Length; i++)
        {
            await ConvertAsync(folder["leaf.vhdx"], folder[$"from{i}"], targets[i]);
            for (var j = 0; j < targets.Length; j++)
            {
                // Every format into every other: what came out of the chain goes on.
                await ConvertAsync(folder[$"from{i}"], folder["to"], targets[j]);
                await Expect.OursAsync(model, folder["to"], new ImageOpenOptions { Format = targets[j].Format });
                switch (targets[j])
                {
                    case { Format: ImageFormat.Raw }:
                        Assert.Equal(File.ReadAllBytes(folder["model.raw"]), File.ReadAllBytes(folder["to"]));
                        break;
                    case { Format: ImageFormat.Vhd }:
                        Expect.Independent(model, folder["to"]);
                        Expect.Qemu(model, folder["to"], folder["model.raw"]);
                        break;
                    case { LogicalSectorSize: null }:
                        ExpectVhdx.Independent(model, folder["to"]);
                        ExpectVhdx.Qemu(model, folder["to"]);
                        break;
                    default:
                        ExpectVhdx.Independent(model, folder["to"]);
                        break;
                }
            }
        }
    }

    private static async Task ConvertAsync(string from, string to, ImageCreateOptions options)
    {
        await using var source = await VirtualDisk.OpenAsync(from);
        await using var target = await VirtualDisk.CreateAsync(to, options with { Size = source.Length });
        await ConvertOperation.RunAsync(source.Device, target.Device, new ConvertOptions { TargetIsZero = true, Verify = true });
    }

    private static async Task ExpectAsync(SparseModel model, TempFolder folder)
    {
        string[] chain = [folder["leaf.vhdx"], folder["inner.vhdx"], folder["root.vhdx"]];
        await Expect.OursAsync(model, chain[0]);
        await Expect.SoundAsync(chain[0]);
        ExpectVhdx.Independent(model, chain);
        await ExpectVhdx.MapAsync(chain);
    }

    /// <summary>root.vhdx, inner.vhdx and leaf.vhdx, each with writes over and beside those below, without any alignment, and zeros over the parents'.</summary>
    private static async Task<SparseModel> CreateAsync(TempFolder folder, ImageKind rootKind, long size, long leafSize, int rootBlockSize, int blockSize, int sectorSize)
    {
        var model = new SparseModel(size);
        var options = new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = rootKind, Size = size, BlockSize = rootBlockSize, LogicalSectorSize = sectorSize };
        await using (var root = await VirtualDisk.CreateAsync(folder["root.vhdx"], options))
        {
            await DiskPattern.WriteAsync(root, model, rootBlockSize, seed: 1);
            await DiskPattern.WriteAsync(root, model, blockSize, seed: 2);
        }

        options = new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = ImageKind.Differencing, BlockSize = blockSize, Parent = folder["root.vhdx"] };
        await using (var inner = await VirtualDisk.CreateAsync(folder["inner.vhdx"], options))
        {
            await ScribbleAsync(inner, model, rootBlockSize, blockSize, seed: 3);
        }

        model = model.Copy(leafSize);
        await using (var leaf = await VirtualDisk.CreateAsync(folder["leaf.vhdx"], options with { Parent = folder["inner.vhdx"], Size = leafSize }))
        {
            await ScribbleAsync(leaf, model, rootBlockSize, blockSize, seed: 4);
        }

        await using (var leaf = await VirtualDisk.OpenAsync(folder["leaf.vhdx"], new ImageOpenOptions { Writable = true }))
        {
            await ScribbleAsync(leaf, model, rootBlockSize, blockSize, seed: 5);
        }

        return model;
    }

    private static async Task ScribbleAsync(VirtualDisk disk, SparseModel model, int rootBlockSize, int blockSize, int seed)
    {
        var random = new Random(seed);
        (long Offset, int Count)[] ranges =
            [.. DiskPattern.Ranges(model.Length, rootBlockSize, 1), .. DiskPattern.Ranges(model.Length, blockSize, 1), (blockSize, 1), (2L * blockSize, 300_000)];
        foreach (var (offset, count) in ranges.Where(range => range.Offset < model.Length && random.Next(3) > 0).ToArray())
        {
            var start = Math.Clamp(offset + random.Next(-2000, 6000), 0, model.Length - 1);
            var bytes = new byte[Math.Min(model.Length - start, random.Next(1, Math.Max(2, count * 2)))];
            if (random.Next(4) == 0)
            {
                await disk.ZeroAsync(start, bytes.Length);
            }
            else
            {
                random.NextBytes(bytes);
                await disk.WriteAsync(start, bytes);
            }

            model.Write(start, bytes);
        }
    }
}
