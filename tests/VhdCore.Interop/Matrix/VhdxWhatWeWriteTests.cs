using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Interop.Peers;
using VhdCore.Operations;
using VhdCore.Testing;

namespace VhdCore.Interop.Matrix;

/// <summary>VHDX disks without parents that the library creates and writes, as others read them.</summary>
public sealed class VhdxWhatWeWriteTests
{
    /// <summary>Bytes: every block size there is.</summary>
    private static readonly int[] BlockSizes = [1 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20, 32 << 20, 64 << 20, 128 << 20, 256 << 20];

    private static readonly long[] SmallSizes =
        [512, Sizes.MiB - 512, Sizes.MiB, Sizes.MiB + 512, (5 * Sizes.MiB) + 1536, (100 * Sizes.MiB) - 512, Sizes.GiB + 512];

    /// <summary>Beside a chunk's end, where the table has another entry between (4 GiB in 512-byte sectors, 32 GiB in others), and up to the largest.</summary>
    private static readonly long[] BigSizes = [(4 * Sizes.GiB) - 512, (4 * Sizes.GiB) + 512, (33 * Sizes.GiB) + 4096, Sizes.GiB * 1024, Sizes.GiB * 64 * 1024];

    public static TheoryData<long, int> Dynamic
    {
        get
        {
            var data = new TheoryData<long, int>();
            foreach (var size in SmallSizes.Concat(BigSizes))
            {
                foreach (var blockSize in BlockSizes.Where(blockSize => size <= Sizes.GiB + 512 || blockSize is 1 << 20 or 32 << 20 or 256 << 20))
                {
                    data.Add(size, blockSize);
                }
            }

            return data;
        }
    }

    public static TheoryData<long, int> Fixed
    {
        get
        {
            var data = new TheoryData<long, int>();
            foreach (var size in SmallSizes)
            {
                foreach (var blockSize in new[] { 1 << 20, 2 << 20, 32 << 20, 256 << 20 })
                {
                    data.Add(size, blockSize);
                }
            }

            return data;
        }
    }

    public static TheoryData<ImageKind, long, int, int, int> Sectors
    {
        get
        {
            var data = new TheoryData<ImageKind, long, int, int, int>();
            foreach (var (logical, physical) in new[] { (512, 512), (4096, 512), (4096, 4096) })
            {
                foreach (var blockSize in new[] { 1 << 20, 32 << 20, 256 << 20 })
                {
                    foreach (var size in SmallSizes.Concat(BigSizes).Select(size => (size + 4095) / 4096 * 4096).Distinct())
                    {
                        data.Add(ImageKind.Dynamic, size, blockSize, logical, physical);
                        if (size <= 100 * Sizes.MiB)
                        {
                            data.Add(ImageKind.Fixed, size, blockSize, logical, physical);
                        }
                    }
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Dynamic))]
    public async Task A_dynamic_disk_reads_alike_everywhere(long size, int blockSize)
    {
        using var folder = new TempFolder();
        var model = await CreateAsync(folder["a.vhdx"], new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = size, BlockSize = blockSize });
        await ExpectVhdx.EverywhereAsync(model, folder["a.vhdx"]);
    }

    [Theory]
    [MemberData(nameof(Fixed))]
    public async Task A_fixed_disk_reads_alike_everywhere(long size, int blockSize)
    {
        using var folder = new TempFolder();
        var options = new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = ImageKind.Fixed, Size = size, BlockSize = blockSize };
        var model = await CreateAsync(folder["a.vhdx"], options);
        await ExpectVhdx.EverywhereAsync(model, folder["a.vhdx"]);
        Assert.Equal(MeasureOperation.OfEmpty(options).Required, new FileInfo(folder["a.vhdx"]).Length);
    }

    [Theory]
    [MemberData(nameof(Sectors))]
    public async Task A_disk_of_any_sectors_reads_alike(ImageKind kind, long size, int blockSize, int logical, int physical)
    {
        using var folder = new TempFolder();
        var options = new ImageCreateOptions
        {
            Format = ImageFormat.Vhdx,
            Kind = kind,
            Size = size,
            BlockSize = blockSize,
            LogicalSectorSize = logical,
            PhysicalSectorSize = physical,
        };
        var model = await CreateAsync(folder["a.vhdx"], options);
        if (logical == 512)
        {
            await ExpectVhdx.EverywhereAsync(model, folder["a.vhdx"]);
            return;
        }

        // qemu-img refuses sectors of 4096 bytes.
        await Expect.OursAsync(model, folder["a.vhdx"]);
        ExpectVhdx.Independent(model, folder["a.vhdx"]);
        await ExpectVhdx.MapAsync(folder["a.vhdx"]);
        ExpectVhdx.Libvhdi(model, folder["a.vhdx"]);
    }

    [Theory]
    [InlineData(ImageKind.Dynamic, 1)]
    [InlineData(ImageKind.Dynamic, 7)]
    [InlineData(ImageKind.Dynamic, 64)]
    [InlineData(ImageKind.Fixed, 3)]
    public async Task A_log_of_any_size_reads_alike_everywhere(ImageKind kind, int logMiB)
    {
        using var folder = new TempFolder();
        var options = new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = kind, Size = 20 * Sizes.MiB, BlockSize = 1 << 20, LogSize = logMiB * Sizes.MiB };
        var model = await CreateAsync(folder["a.vhdx"], options);
        await ExpectVhdx.EverywhereAsync(model, folder["a.vhdx"]);
    }

    [Theory]
    [InlineData(ImageKind.Dynamic)]
    [InlineData(ImageKind.Fixed)]
    public async Task An_empty_disk_reads_as_zeros_everywhere(ImageKind kind)
    {
        using var folder = new TempFolder();
        await using (await VirtualDisk.CreateAsync(folder["a.vhdx"], new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = kind, Size = 70 * Sizes.MiB }))
        {
        }

        await ExpectVhdx.EverywhereAsync(new SparseModel(70 * Sizes.MiB), folder["a.vhdx"]);
    }

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task A_log_that_was_left_is_replayed_by_others_to_what_we_read(int sectorSize)
    {
        using var folder = new TempFolder();
        var model = new SparseModel(20 << 20);
        var options = new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = model.Length, BlockSize = 1 << 20, LogicalSectorSize = sectorSize };
        await using (var disk = await VirtualDisk.CreateAsync(folder["a.vhdx"], options))
        {
            await DiskPattern.WriteAsync(disk, model, 1 << 20, seed: 4);
            await disk.FlushAsync();
            File.Copy(folder["a.vhdx"], folder["left.vhdx"]); // as a power cut would leave it now
        }

        await Expect.OursAsync(model, folder["left.vhdx"]);
        using (var plain = Testing.Independent.PlainVhdxChain.Open(File.OpenRead(folder["left.vhdx"])))
        {
            Assert.Equal(1, plain.Images[0].ReplayedEntries);
            Assert.All(model.Sectors, sector => Assert.Equal(model.ReadSector(sector), plain.Read(sector * 512, 512)));
        }

        if (sectorSize == 512)
        {
            QemuImg.Require();
            QemuImg.Run("check", "-r", "all", "-f", "vhdx", folder["left.vhdx"]);
            ExpectVhdx.Qemu(model, folder["left.vhdx"]);
        }

        await using (await VirtualDisk.OpenAsync(folder["left.vhdx"], new ImageOpenOptions { Writable = true }))
        {
        }

        ExpectVhdx.Independent(model, folder["left.vhdx"]);
    }

    /// <summary>Creates a disk and writes to it in two sessions.</summary>
    private static async Task<SparseModel> CreateAsync(string path, ImageCreateOptions options)
    {
        var model = new SparseModel(options.Size!.Value);
        await using (var disk = await VirtualDisk.CreateAsync(path, options))
        {
            await DiskPattern.WriteAsync(disk, model, options.BlockSize!.Value, seed: 1);
        }

        await using (var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Writable = true }))
        {
            await DiskPattern.WriteAsync(disk, model, options.BlockSize!.Value, seed: 2, unit: 4096);
            var chunk = (long)(1 << 23) * (options.LogicalSectorSize ?? 512);
            if (model.Length > chunk + 5000)
            {
                var bytes = new byte[9000]; // across the chunk's end
                new Random(3).NextBytes(bytes);
                await disk.WriteAsync(chunk - 4000, bytes);
                model.Write(chunk - 4000, bytes);
            }
        }

        return model;
    }
}
