using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Interop.Peers;
using VhdCore.Testing;

namespace VhdCore.Interop.Matrix;

/// <summary>Images that qemu-img writes, as the library reads them.</summary>
public sealed class WhatOthersWriteTests
{
    public static TheoryData<long, string, bool> Shapes
    {
        get
        {
            var data = new TheoryData<long, string, bool>();
            foreach (var size in Sizes.Small.Append(Sizes.GiB))
            {
                foreach (var subformat in new[] { "dynamic", "fixed" })
                {
                    data.Add(size, subformat, true);
                    data.Add(size, subformat, false);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task What_qemu_converts_to_VHD_reads_as_its_source(long size, string subformat, bool forceSize)
    {
        QemuImg.Require();
        using var folder = new TempFolder();
        var model = new SparseModel(size);
        DiskPattern.Write(model, 2 << 20, seed: 7);
        model.WriteRaw(folder["disk.raw"]);
        QemuImg.Run("convert", "-f", "raw", "-O", "vpc", "-o", $"subformat={subformat}{(forceSize ? ",force_size=on" : "")}", folder["disk.raw"], folder["disk.vhd"]);

        // Without force_size, qemu rounds up to a whole geometry and means that size.
        var virtualSize = QemuImg.VirtualSize(folder["disk.vhd"]);
        Assert.True(forceSize ? virtualSize == size : virtualSize >= size);
        await Expect.OursAsync(model.Copy(virtualSize), folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"]);
        Expect.Independent(model.Copy(virtualSize), folder["disk.vhd"]);
    }

    [Theory]
    [InlineData(Sizes.LargestGeometry - 512, true)]
    [InlineData(Sizes.LargestGeometry + 512, true)]
    [InlineData(Sizes.LargestGeometry + (2 * Sizes.MiB), false)]
    [InlineData(Sizes.Largest, true)]
    [InlineData(Sizes.Largest, false)]
    public async Task Huge_disks_of_qemu_have_the_size_that_qemu_gives_them(long size, bool forceSize)
    {
        QemuImg.Require();
        using var folder = new TempFolder();
        QemuImg.Run("create", "-f", "vpc", "-o", $"subformat=dynamic{(forceSize ? ",force_size=on" : "")}", folder["disk.vhd"], $"{size}");
        var model = new SparseModel(QemuImg.VirtualSize(folder["disk.vhd"]));
        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"]);
        Expect.Independent(model, folder["disk.vhd"]);
    }

    [Fact]
    public async Task What_qemu_writes_into_our_image_reads_as_written_and_we_may_write_on()
    {
        Tools.Require("qemu-io");
        using var folder = new TempFolder();
        var model = new SparseModel(20 * Sizes.MiB);
        await using (var disk = await VirtualDisk.CreateAsync(folder["disk.vhd"], new ImageCreateOptions { Format = ImageFormat.Vhd, Size = model.Length }))
        {
            await DiskPattern.WriteAsync(disk, model, 2 << 20, seed: 8);
        }

        foreach (var (offset, count, pattern) in new[] { (3 << 20, 4096, 0x11), ((16 << 20) - 1024, 2048, 0x22), ((20 << 20) - 512, 512, 0x33) })
        {
            Tools.Run("qemu-io", "-f", "vpc", "-c", $"write -P {pattern} {offset} {count}", folder["disk.vhd"]).EnsureSuccess();
            model.Write(offset, Enumerable.Repeat((byte)pattern, count).ToArray());
        }

        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"]);
        await using (var disk = await VirtualDisk.OpenAsync(folder["disk.vhd"], new ImageOpenOptions { Writable = true }))
        {
            await DiskPattern.WriteAsync(disk, model, 2 << 20, seed: 9);
        }

        await Expect.OursAsync(model, folder["disk.vhd"]);
        await Expect.SoundAsync(folder["disk.vhd"]);
        Expect.Independent(model, folder["disk.vhd"]);
        Expect.Qemu(model, folder["disk.vhd"], folder["disk.raw"]);
    }
}
