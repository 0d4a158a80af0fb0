using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Matrix;

/// <summary>Images that the library creates and writes, as others read them.</summary>
public sealed class WhatWeWriteTests
{
    public static TheoryData<long, int> Dynamic
    {
        get
        {
            var data = new TheoryData<long, int>();
            foreach (var size in Sizes.Small.Concat(Sizes.Big))
            {
                data.Add(size, 2 << 20);
                if (size <= Sizes.LargestGeometry + 512)
                {
                    data.Add(size, 512 << 10);
                }
            }

            return data;
        }
    }

    public static TheoryData<long, int> DynamicWithUnusualBlocks
    {
        get
        {
            var data = new TheoryData<long, int>();
            foreach (var blockSize in Sizes.UnusualBlocks)
            {
                data.Add(512, blockSize);
                data.Add((5 * Sizes.MiB) + 1536, blockSize);
                data.Add(200 * Sizes.MiB, blockSize);
            }

            return data;
        }
    }

    public static TheoryData<long> Fixed => [.. Sizes.Small, .. Sizes.Big.Where(size => size <= Sizes.LargestGeometry + 512)];

    [Theory]
    [MemberData(nameof(Dynamic))]
    public async Task A_dynamic_disk_reads_alike_everywhere(long size, int blockSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder["disk.vhd"], ImageKind.Dynamic, size, blockSize);
        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"]);
        Expect.Independent(model, folder["disk.vhd"]);
        Expect.Independent(model, folder["disk.vhd"], PlainRules.LikeQemu);
        Expect.Libvhdi(model, folder["disk.vhd"], sectorsAreWholeBytes: true);
        Expect.Qemu(model, folder["disk.vhd"], folder["disk.raw"]);
    }

    [Theory]
    [MemberData(nameof(DynamicWithUnusualBlocks))]
    public async Task A_dynamic_disk_of_an_unusual_block_size_reads_alike(long size, int blockSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder["disk.vhd"], ImageKind.Dynamic, size, blockSize);
        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"], mayLeak: blockSize <= 4096);
        Expect.Independent(model, folder["disk.vhd"]);
        if (blockSize >= 4096)
        {
            Expect.Qemu(model, folder["disk.vhd"], folder["disk.raw"]);
        }
    }

    [Theory]
    [MemberData(nameof(Fixed))]
    public async Task A_fixed_disk_reads_alike_everywhere(long size)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder["disk.vhd"], ImageKind.Fixed, size, null);
        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"]);
        Expect.Independent(model, folder["disk.vhd"], PlainRules.StrictEnd);
        Expect.Libvhdi(model, folder["disk.vhd"], sectorsAreWholeBytes: true);
        Expect.Qemu(model, folder["disk.vhd"], folder["disk.raw"]);
    }

    [Theory]
    [InlineData((2L << 40) - 512)]
    [InlineData((2L << 40) + 512)]
    [InlineData(3L << 40)]
    public async Task A_fixed_disk_beyond_two_tebibytes_reads_alike(long size)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder["disk.vhd"], ImageKind.Fixed, size, null);
        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"]);
        Expect.Independent(model, folder["disk.vhd"], PlainRules.StrictEnd);
        Assert.Equal(size + 512, new FileInfo(folder["disk.vhd"]).Length);
    }

    [Fact]
    public async Task An_untouched_new_disk_is_empty_to_every_reader()
    {
        using var folder = new TempFolder();
        await using (await VirtualDisk.CreateAsync(folder["disk.vhd"], new ImageCreateOptions { Format = ImageFormat.Vhd, Size = 40 * Sizes.MiB }))
        {
        }

        var model = new SparseModel(40 * Sizes.MiB);
        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"]);
        Expect.Independent(model, folder["disk.vhd"]);
        Expect.Libvhdi(model, folder["disk.vhd"], sectorsAreWholeBytes: true);
        Expect.Qemu(model, folder["disk.vhd"], folder["disk.raw"]);
    }

    [Fact]
    public async Task A_disk_made_for_readers_by_geometry_has_one_size_to_all()
    {
        using var folder = new TempFolder();
        var options = new ImageCreateOptions { Format = ImageFormat.Vhd, Size = Sizes.GiB, ChsCompatible = true };
        await using (await VirtualDisk.CreateAsync(folder["disk.vhd"], options))
        {
        }

        using var chain = PlainChain.OpenFile(folder["disk.vhd"]);
        Assert.InRange(chain.Length, Sizes.GiB, Sizes.GiB + (8 * Sizes.MiB));
        var (cylinders, heads, sectors) = PlainWriting.Geometry(chain.SectorCount);
        Assert.Equal(chain.SectorCount, cylinders * heads * sectors);
        using var file = File.OpenRead(folder["disk.vhd"]);
        var image = PlainBytes.Read(file, 0, 512);
        Assert.Equal((ulong)cylinders, PlainBytes.Number(image, 56, 2));
    }

    private static async Task<SparseModel> CreateAsync(string path, ImageKind kind, long size, int? blockSize)
    {
        var model = new SparseModel(size);
        var options = new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = kind, Size = size, BlockSize = blockSize };
        await using var disk = await VirtualDisk.CreateAsync(path, options);
        await DiskPattern.WriteAsync(disk, model, blockSize ?? (2 << 20), seed: (int)(size % 1_000_003));
        return model;
    }
}
