using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;

namespace VhdCore.Interop.Matrix;

/// <summary>Chains that the library creates and writes, as others read them.</summary>
public sealed class ChainsWeWriteTests
{
    public static TheoryData<long, int> Shapes
    {
        get
        {
            var data = new TheoryData<long, int>();
            foreach (var size in Sizes.Small.Concat(Sizes.Big))
            {
                data.Add(size, 2 << 20);
            }

            data.Add((5 * Sizes.MiB) + 1536, 512 << 10);
            data.Add(Sizes.GiB, 512 << 10);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task A_chain_of_three_reads_alike_everywhere(long size, int blockSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder, size, blockSize, blockSize, unit: 4096);
        await Expect.OursAsync(model, folder["leaf.vhd"]);
        await Expect.SoundAsync(folder["leaf.vhd"]);
        Expect.Independent(model, folder["leaf.vhd"]);
        Expect.Libvhdi(model, folder["leaf.vhd"], sectorsAreWholeBytes: size % 4096 == 0);
    }

    [Theory]
    [InlineData(2 << 20, 2 << 20)]
    [InlineData(512 << 10, 2 << 20)]
    [InlineData(4096, 64 << 10)]
    [InlineData(1 << 20, 512)]
    public async Task A_chain_written_without_alignment_reads_alike(int rootBlockSize, int blockSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder, (5 * Sizes.MiB) + 1536, rootBlockSize, blockSize, unit: 1);
        await Expect.OursAsync(model, folder["leaf.vhd"]);
        await Expect.SoundAsync(folder["leaf.vhd"], mayLeak: blockSize <= 4096);
        Expect.Independent(model, folder["leaf.vhd"]);
    }

    [Fact]
    public async Task A_child_larger_than_its_parent_has_zeros_behind_it()
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder, 3 * Sizes.MiB, 2 << 20, 2 << 20, unit: 512, leafSize: (7 * Sizes.MiB) + 512);
        await Expect.OursAsync(model, folder["leaf.vhd"]);
        await Expect.SoundAsync(folder["leaf.vhd"]);
        Expect.Independent(model, folder["leaf.vhd"]);
    }

    [Fact]
    public async Task A_chain_on_a_fixed_disk_and_one_on_a_raw_file_read_alike()
    {
        using var folder = new TempFolder();
        var model = new SparseModel(6 * Sizes.MiB);
        DiskPattern.Write(model, 2 << 20, seed: 4);
        model.WriteRaw(folder["root.raw"]);
        await using (var root = await VirtualDisk.CreateAsync(folder["root.vhd"], new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = ImageKind.Fixed, Size = model.Length }))
        {
            foreach (var sector in model.Sectors)
            {
                await root.WriteAsync(sector * 512, model.ReadSector(sector));
            }
        }

        foreach (var root in new[] { "root.vhd", "root.raw" })
        {
            var leaf = "on-" + root + ".vhd";
            var content = model.Copy(model.Length);
            await using (var disk = await VirtualDisk.CreateAsync(
                folder[leaf], new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = ImageKind.Differencing, Parent = folder[root] }))
            {
                await DiskPattern.WriteAsync(disk, content, 2 << 20, seed: 5, unit: 512);
                await disk.WriteAsync(2 * Sizes.MiB, new byte[5000]);
                content.Write(2 * Sizes.MiB, new byte[5000]);
            }

            await Expect.OursAsync(content, folder[leaf]);
            await Expect.SoundAsync(folder[leaf]);
            Expect.Independent(content, folder[leaf]);
        }
    }

    [Fact]
    public async Task A_parent_of_another_folder_and_of_a_name_beyond_ASCII_is_found_by_both_readers()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["Basis über 中"]);
        var root = folder["Basis über 中/Wurzel ß.vhd"];
        var model = new SparseModel(3 * Sizes.MiB);
        await using (var disk = await VirtualDisk.CreateAsync(root, new ImageCreateOptions { Format = ImageFormat.Vhd, Size = model.Length }))
        {
            await DiskPattern.WriteAsync(disk, model, 2 << 20, seed: 6);
        }

        await using (await VirtualDisk.CreateAsync(folder["leaf.vhd"], new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = ImageKind.Differencing, Parent = root }))
        {
        }

        await Expect.OursAsync(model, folder["leaf.vhd"]);
        await Expect.SoundAsync(folder["leaf.vhd"]);
        Expect.Independent(model, folder["leaf.vhd"]);
    }

    private static async Task<SparseModel> CreateAsync(TempFolder folder, long size, int rootBlockSize, int blockSize, int unit, long? leafSize = null)
    {
        var model = new SparseModel(size);
        await using (var root = await VirtualDisk.CreateAsync(folder["root.vhd"], new ImageCreateOptions { Format = ImageFormat.Vhd, Size = size, BlockSize = rootBlockSize }))
        {
            await DiskPattern.WriteAsync(root, model, rootBlockSize, seed: 1, unit);
        }

        var options = new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = ImageKind.Differencing, BlockSize = blockSize, Parent = folder["root.vhd"] };
        await using (var inner = await VirtualDisk.CreateAsync(folder["inner.vhd"], options))
        {
            // Over the root's ranges and beside them; zeros that hide what lies below.
            var random = new Random(2);
            foreach (var (offset, count) in DiskPattern.Ranges(size, rootBlockSize, unit).Where(_ => random.Next(2) == 0))
            {
                var start = Math.Min(size - 1, offset + (count / 3)) / unit * unit;
                var bytes = new byte[Math.Min(size - start, Math.Max(unit, count / unit * unit))];
                if (random.Next(3) > 0)
                {
                    random.NextBytes(bytes);
                }

                await inner.WriteAsync(start, bytes);
                model.Write(start, bytes);
            }
        }

        model = model.Copy(leafSize ?? size);
        await using (var leaf = await VirtualDisk.CreateAsync(folder["leaf.vhd"], options with { Parent = folder["inner.vhd"], Size = leafSize }))
        {
            var random = new Random(3);
            for (var i = 0; i < 6; i++)
            {
                var start = random.NextInt64(model.Length) / unit * unit;
                var bytes = new byte[Math.Min(model.Length - start, random.Next(1, 4) * (unit == 1 ? 777 : unit))];
                random.NextBytes(bytes);
                await leaf.WriteAsync(start, bytes);
                model.Write(start, bytes);
            }
        }

        return model;
    }
}
