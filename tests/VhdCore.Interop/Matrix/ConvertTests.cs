using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;

namespace VhdCore.Interop.Matrix;

/// <summary>What the convert operation writes, as others read it.</summary>
public sealed class ConvertTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(511)]
    [InlineData(1000)]
    [InlineData((2 << 20) + 1)]
    [InlineData(5_000_001)]
    public async Task A_raw_length_that_is_no_multiple_of_a_sector_is_rounded_up_and_the_result_says_so(int length)
    {
        using var folder = new TempFolder();
        var model = new SparseModel((length + 511) / 512 * 512);
        var content = new byte[length];
        new Random(length).NextBytes(content);
        File.WriteAllBytes(folder["disk.raw"], content);
        model.Write(0, content);
        await using (var source = await VirtualDisk.OpenAsync(folder["disk.raw"]))
        {
            Assert.True(source.Images[0].SizeRoundedUp);
            await Expect.OursAsync(model, source);
            await ConvertAsync(source, folder["disk.vhd"], new ImageCreateOptions { Format = ImageFormat.Vhd, Size = source.Length });
        }

        Expect.Independent(model, folder["disk.vhd"]);
        File.Delete(folder["disk.raw"]);
        Expect.Qemu(model, folder["disk.vhd"], folder["padded.raw"]);
    }

    [Theory]
    [InlineData(ImageKind.Dynamic)]
    [InlineData(ImageKind.Fixed)]
    public async Task A_chain_becomes_one_image_that_every_reader_reads(ImageKind kind)
    {
        using var folder = new TempFolder();
        var chain = Generators.XenChainGenerator.Make();
        foreach (var image in chain)
        {
            File.WriteAllBytes(folder[image.FileName], image.Build());
        }

        var model = new SparseModel(Generators.XenChainGenerator.VirtualSize);
        model.Write(0, chain[2].Content());
        await using (var source = await VirtualDisk.OpenAsync(folder["leaf.vhd"]))
        {
            await ConvertAsync(source, folder["flat.vhd"], new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = kind, Size = source.Length });
            await ConvertAsync(source, folder["flat.raw"], new ImageCreateOptions { Format = ImageFormat.Raw, Size = source.Length });
        }

        Assert.Equal(chain[2].Content(), File.ReadAllBytes(folder["flat.raw"]));
        Expect.Independent(model, folder["flat.vhd"]);
        Expect.Qemu(model, folder["flat.vhd"], folder["flat.raw"]);
        Expect.Libvhdi(model, folder["flat.vhd"], sectorsAreWholeBytes: true);
    }

    private static async Task ConvertAsync(VirtualDisk source, string path, ImageCreateOptions options)
    {
        await using var target = await VirtualDisk.CreateAsync(path, options);
        await ConvertOperation.RunAsync(source.Device, target.Device, new ConvertOptions { TargetIsZero = true, Verify = true });
    }
}
