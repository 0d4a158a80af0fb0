using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Interop.Peers;
using VhdCore.Testing;

namespace VhdCore.Interop.Matrix;

/// <summary>VHDX images that QEMU makes, as the library reads and writes them.</summary>
public sealed class VhdxWhatOthersWriteTests
{
    public static TheoryData<long, string> Shapes
    {
        get
        {
            var data = new TheoryData<long, string>();
            foreach (var size in new[] { 512, Sizes.MiB - 512, Sizes.MiB + 512, (20 * Sizes.MiB) + 1536, 300 * Sizes.MiB })
            {
                foreach (var blockSize in size == 300 * Sizes.MiB ? ["1M", "2M", "8M", "32M", "256M", "0"] : new[] { "1M", "32M" })
                {
                    data.Add(size, $"block_size={blockSize},block_state_zero=on");
                    data.Add(size, $"block_size={blockSize},block_state_zero=off,log_size=3M");
                    data.Add(size, $"block_size={blockSize},subformat=fixed");
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task What_QEMU_makes_is_read_here_and_written_here_and_read_there(long size, string options)
    {
        QemuImg.Require();
        using var folder = new TempFolder();
        var model = new SparseModel(size);
        DiskPattern.Write(model, 1 << 20, seed: 7);
        model.WriteRaw(folder["q.raw"]);
        QemuImg.Run("convert", "-f", "raw", "-O", "vhdx", "-o", options, folder["q.raw"], folder["q.vhdx"]);
        var written = File.GetLastWriteTimeUtc(folder["q.vhdx"]);
        await Expect.OursAsync(model, folder["q.vhdx"]);
        Assert.Equal(written, File.GetLastWriteTimeUtc(folder["q.vhdx"]));
        for (var session = 0; session < 2; session++)
        {
            await using var disk = await VirtualDisk.OpenAsync(folder["q.vhdx"], new ImageOpenOptions { Writable = true });
            await DiskPattern.WriteAsync(disk, model, 1 << (20 + session), seed: 8 + session);
        }

        await Expect.OursAsync(model, folder["q.vhdx"]);
        await Expect.SoundAsync(folder["q.vhdx"]);
        ExpectVhdx.Independent(model, folder["q.vhdx"]);
        await ExpectVhdx.MapAsync(folder["q.vhdx"]);
        ExpectVhdx.Qemu(model, folder["q.vhdx"]);
        ExpectVhdx.Libvhdi(model, folder["q.vhdx"]);
    }

    [Theory]
    [InlineData("1T", "block_size=1M,block_state_zero=on")]
    [InlineData("1T", "block_size=1M,block_state_zero=off")]
    [InlineData("64T", "block_size=32M,block_state_zero=on")]
    [InlineData("64T", "block_size=256M")]
    public async Task Huge_disks_of_QEMU_are_read_and_written(string size, string options)
    {
        QemuImg.Require();
        using var folder = new TempFolder();
        QemuImg.Run("create", "-q", "-f", "vhdx", "-o", options, folder["q.vhdx"], size);
        SparseModel model;
        await using (var disk = await VirtualDisk.OpenAsync(folder["q.vhdx"], new ImageOpenOptions { Writable = true }))
        {
            model = new SparseModel(disk.Length);
            await DiskPattern.WriteAsync(disk, model, 32 << 20, seed: 10);
        }

        await Expect.OursAsync(model, folder["q.vhdx"]);
        await Expect.SoundAsync(folder["q.vhdx"]);
        ExpectVhdx.Independent(model, folder["q.vhdx"]);
        ExpectVhdx.Qemu(model, folder["q.vhdx"]);
    }

    [Theory]
    [InlineData("dynamic")]
    [InlineData("fixed")]
    public async Task What_QEMU_writes_into_our_image_reads_as_written_and_we_may_write_on(string subformat)
    {
        Tools.Require("qemu-io");
        using var folder = new TempFolder();
        var model = new SparseModel(20 * Sizes.MiB);
        var options = new ImageCreateOptions
        {
            Format = ImageFormat.Vhdx,
            Kind = subformat == "fixed" ? ImageKind.Fixed : ImageKind.Dynamic,
            Size = model.Length,
            BlockSize = 2 << 20,
        };
        await using (var disk = await VirtualDisk.CreateAsync(folder["a.vhdx"], options))
        {
            await DiskPattern.WriteAsync(disk, model, 2 << 20, seed: 8);
        }

        foreach (var (offset, count, pattern) in new[] { (3 << 20, 4096, 0x11), ((16 << 20) - 1024, 2048, 0x22), ((20 << 20) - 512, 512, 0x33), (12 << 20, 1 << 20, 0x44) })
        {
            Tools.Run("qemu-io", "-f", "vhdx", "-c", $"write -P {pattern} {offset} {count}", folder["a.vhdx"]).EnsureSuccess();
            model.Write(offset, Enumerable.Repeat((byte)pattern, count).ToArray());
        }

        await ExpectVhdx.EverywhereAsync(model, folder["a.vhdx"]);
        await using (var disk = await VirtualDisk.OpenAsync(folder["a.vhdx"], new ImageOpenOptions { Writable = true }))
        {
            await DiskPattern.WriteAsync(disk, model, 2 << 20, seed: 9);
        }

        await ExpectVhdx.EverywhereAsync(model, folder["a.vhdx"]);
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(2 << 20)]
    public async Task Blocks_of_every_state_read_alike_everywhere(int blockSize)
    {
        using var folder = new TempFolder();
        var model = new SparseModel(10L * blockSize);
        var plain = new Testing.Independent.PlainVhdxBuilder { DiskSize = model.Length, BlockSize = blockSize };
        var random = new Random(blockSize);
        for (var block = 0; block < 10; block++)
        {
            int[] states = [6, 0, 1, 2, 3, 5, 6, 0, 2, 6];
            var content = new byte[blockSize];
            random.NextBytes(content);
            plain.Blocks[block] = new(states[block], states[block] == 6 ? content : null);
            if (states[block] == 6)
            {
                model.Write((long)block * blockSize, content);
            }
        }

        File.WriteAllBytes(folder["a.vhdx"], plain.Build());
        await ExpectVhdx.EverywhereAsync(model, folder["a.vhdx"]);
        await using (var disk = await VirtualDisk.OpenAsync(folder["a.vhdx"], new ImageOpenOptions { Writable = true }))
        {
            for (var block = 0; block < 9; block++)
            {
                await disk.WriteAsync(((block + 1L) * blockSize) - 100, new byte[] { 1, 2, 3 });
                model.Write(((block + 1L) * blockSize) - 100, [1, 2, 3]);
            }

            await disk.ZeroAsync(6L * blockSize, blockSize);
            model.Write(6L * blockSize, new byte[blockSize]);
            await disk.TrimAsync(7L * blockSize, blockSize);
            model.Write(7L * blockSize, new byte[blockSize]); // this library releases whole blocks
        }

        await ExpectVhdx.EverywhereAsync(model, folder["a.vhdx"]);
    }

    [Fact]
    public async Task A_log_that_QEMU_left_is_replayed_here_to_what_it_wrote()
    {
        Tools.Require("qemu-io");
        using var folder = new TempFolder();
        QemuImg.Run("create", "-q", "-f", "vhdx", "-o", "block_size=1M", folder["q.vhdx"], "20M");
        var model = new SparseModel(20 * Sizes.MiB);

        // abort leaves the process without closing the image, after a flush of its writes.
        Tools.Run("qemu-io", "-f", "vhdx", "-c", "write -P 0x51 1M 70k", "-c", "write -P 0x52 9M 3k", "-c", "flush", "-c", "abort", folder["q.vhdx"]);
        model.Write(1 << 20, Enumerable.Repeat((byte)0x51, 70 << 10).ToArray());
        model.Write(9 << 20, Enumerable.Repeat((byte)0x52, 3 << 10).ToArray());
        var before = File.ReadAllBytes(folder["q.vhdx"]);
        await Expect.OursAsync(model, folder["q.vhdx"]);
        Assert.Equal(before, File.ReadAllBytes(folder["q.vhdx"]));
        await using (var disk = await VirtualDisk.OpenAsync(folder["q.vhdx"], new ImageOpenOptions { Writable = true }))
        {
            await DiskPattern.WriteAsync(disk, model, 1 << 20, seed: 11);
        }

        await ExpectVhdx.EverywhereAsync(model, folder["q.vhdx"]);
    }
}
