using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Interop.Peers;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Matrix;

/// <summary>VHDX images that the library writes, as others read them, and the reverse.</summary>
public sealed class VhdxTests
{
    [Theory]
    [InlineData(ImageKind.Dynamic, 512, 1 << 20)]
    [InlineData(ImageKind.Dynamic, (5 << 20) + 1536, 1 << 20)]
    [InlineData(ImageKind.Dynamic, 100L << 20, 32 << 20)]
    [InlineData(ImageKind.Dynamic, 700L << 20, 256 << 20)]
    [InlineData(ImageKind.Dynamic, 1L << 40, 1 << 20)]
    [InlineData(ImageKind.Dynamic, 64L << 40, 32 << 20)]
    [InlineData(ImageKind.Fixed, 512, 1 << 20)]
    [InlineData(ImageKind.Fixed, (70L << 20) + 512, 32 << 20)]
    public async Task What_we_write_reads_alike_everywhere(ImageKind kind, long size, int blockSize)
    {
        QemuImg.Require();
        using var folder = new TempFolder();
        var model = new SparseModel(size);
        var options = new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = kind, Size = size, BlockSize = blockSize };
        await using (var disk = await VirtualDisk.CreateAsync(folder["a.vhdx"], options))
        {
            await DiskPattern.WriteAsync(disk, model, blockSize, seed: 1);
        }

        await using (var disk = await VirtualDisk.OpenAsync(folder["a.vhdx"], new ImageOpenOptions { Writable = true }))
        {
            await DiskPattern.WriteAsync(disk, model, blockSize, seed: 2);
        }

        await Expect.OursAsync(model, folder["a.vhdx"]);
        Assert.Equal(0, new FileInfo(folder["a.vhdx"]).Length % (1 << 20));
        QemuImg.Run("check", "-f", "vhdx", folder["a.vhdx"]);
        if (size <= 1L << 30)
        {
            model.WriteRaw(folder["a.raw"]);
            QemuImg.Run("compare", "-f", "vhdx", "-F", "raw", folder["a.vhdx"], folder["a.raw"]);
        }

        using var plain = PlainVhdx.Open(File.OpenRead(folder["a.vhdx"]));
        foreach (var sector in model.Sectors)
        {
            Assert.Equal(PlainVhdxPlace.File, plain.Where(sector));
            Assert.Equal(model.ReadSector(sector), plain.ReadSector(sector));
        }
    }

    [Theory]
    [InlineData((9 << 20) + 512, 1 << 20)]
    [InlineData(1L << 40, 2 << 20)]
    public async Task A_chain_of_three_reads_alike(long size, int blockSize)
    {
        using var folder = new TempFolder();
        var model = new SparseModel(size);
        string? parent = null;
        foreach (var name in new[] { "root.vhdx", "inner.vhdx", "leaf.vhdx" })
        {
            var options = parent is null
                ? new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = size, BlockSize = 1 << 20 }
                : new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = ImageKind.Differencing, Parent = parent, BlockSize = blockSize };
            await using var disk = await VirtualDisk.CreateAsync(folder[name], options);
            await DiskPattern.WriteAsync(disk, model, blockSize, seed: name.Length, unit: 1);
            await disk.ZeroAsync(0, Math.Min(size, 700_001));
            model.Write(0, new byte[(int)Math.Min(size, 700_001)]);
            parent = folder[name];
        }

        await Expect.OursAsync(model, folder["leaf.vhdx"]);
        using var chain = PlainVhdxChain.Open(File.OpenRead(folder["leaf.vhdx"]), File.OpenRead(folder["inner.vhdx"]), File.OpenRead(folder["root.vhdx"]));
        foreach (var sector in model.Sectors)
        {
            Assert.Equal(model.ReadSector(sector), chain.ReadSector(sector));
        }
    }

    [Theory]
    [InlineData("dynamic", "100M")]
    [InlineData("fixed", "40M")]
    public async Task What_QEMU_makes_is_written_here_and_read_there(string subformat, string size)
    {
        QemuImg.Require();
        using var folder = new TempFolder();
        QemuImg.Run("create", "-q", "-f", "vhdx", "-o", "subformat=" + subformat, folder["q.vhdx"], size);
        SparseModel model;
        await using (var disk = await VirtualDisk.OpenAsync(folder["q.vhdx"], new ImageOpenOptions { Writable = true }))
        {
            model = new SparseModel(disk.Length);
            await DiskPattern.WriteAsync(disk, model, 8 << 20, seed: 3);
        }

        model.WriteRaw(folder["q.raw"]);
        QemuImg.Run("check", "-f", "vhdx", folder["q.vhdx"]);
        QemuImg.Run("compare", "-f", "vhdx", "-F", "raw", folder["q.vhdx"], folder["q.raw"]);
    }

    [Fact]
    public async Task A_log_that_was_left_is_replayed_by_QEMU_to_what_we_read()
    {
        QemuImg.Require();
        using var folder = new TempFolder();
        var model = new SparseModel(20 << 20);
        await using (var disk = await VirtualDisk.CreateAsync(folder["a.vhdx"], new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = model.Length, BlockSize = 1 << 20 }))
        {
            await DiskPattern.WriteAsync(disk, model, 1 << 20, seed: 4);
            await disk.FlushAsync();
            File.Copy(folder["a.vhdx"], folder["left.vhdx"]); // as a power cut would leave it now
        }

        await Expect.OursAsync(model, folder["left.vhdx"]);
        model.WriteRaw(folder["a.raw"]);
        QemuImg.Run("check", "-r", "all", "-f", "vhdx", folder["left.vhdx"]);
        QemuImg.Run("compare", "-f", "vhdx", "-F", "raw", folder["left.vhdx"], folder["a.raw"]);
    }
}
