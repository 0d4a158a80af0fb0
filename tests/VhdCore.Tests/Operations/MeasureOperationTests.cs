using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Tests.Operations;

public sealed class MeasureOperationTests
{
    private const int MiB = 1 << 20;

    [Theory]
    [InlineData(null, 9 * MiB)]
    [InlineData(512, MiB / 8)]
    [InlineData(4096, MiB)]
    [InlineData(65536, (7 * MiB) + 512)]
    [InlineData(1 * MiB, (9 * MiB) + 512)]
    [InlineData(8 * MiB, 17 * MiB)]
    public async Task What_was_measured_is_the_length_of_the_file_that_convert_makes(int? blockSize, int length)
    {
        var random = new Random(5);
        for (var round = 0; round < 3; round++)
        {
            var source = new ArrayDevice(Pattern.Bytes(length)).WithZeros(0, length);
            for (var i = 0; i < round * 2; i++)
            {
                var start = random.Next(0, length / 512);
                var count = Math.Min(random.Next(1, 5000), (length / 512) - start);
                Pattern.Bytes(count * 512).CopyTo(source.Content, start * 512);
                for (var sector = start; sector < start + count; sector++)
                {
                    source.ZeroGrains.Remove(sector);
                }
            }

            var options = new ImageCreateOptions { Format = ImageFormat.Vhd, BlockSize = blockSize };
            var measured = await MeasureOperation.RunAsync(source, options);
            Assert.Equal(measured.Required, await ConvertedLengthAsync(source, options));

            source.ZeroGrains.Clear();
            Pattern.Bytes(length).CopyTo(source.Content, 0);
            Assert.Equal(measured.FullyAllocated, await ConvertedLengthAsync(source, options));
        }
    }

    [Fact]
    public async Task Fixed_and_raw_images_have_one_size()
    {
        var source = new ArrayDevice(new byte[3 * MiB]);
        var vhd = new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = ImageKind.Fixed };
        Assert.Equal(new MeasureResult((3 * MiB) + 512, (3 * MiB) + 512), await MeasureOperation.RunAsync(source, vhd));
        Assert.Equal((3 * MiB) + 512, await ConvertedLengthAsync(source, vhd));
        var raw = new ImageCreateOptions { Format = ImageFormat.Raw, Kind = ImageKind.Fixed };
        Assert.Equal(new MeasureResult(3 * MiB, 3 * MiB), await MeasureOperation.RunAsync(source, raw));
        Assert.Equal(1024, MeasureOperation.OfEmpty(raw with { Size = 513 }).Required);
    }

    [Fact]
    public async Task A_geometry_s_size_is_measured_when_it_is_asked_for()
    {
        var source = new ArrayDevice(new byte[3 * MiB]);
        var options = new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = ImageKind.Fixed, ChsCompatible = true };
        Assert.Equal((await MeasureOperation.RunAsync(source, options)).Required, await ConvertedLengthAsync(source, options));
        Assert.True((await MeasureOperation.RunAsync(source, options)).Required > (3 * MiB) + 512);
    }

    [Fact]
    public void What_the_format_cannot_hold_is_refused() =>
        Assert.Throws<UnsupportedImageException>(() => MeasureOperation.OfEmpty(new ImageCreateOptions { Format = ImageFormat.Vhd, Size = 2041L << 30 }));

    private static async Task<long> ConvertedLengthAsync(ArrayDevice source, ImageCreateOptions options)
    {
        var resolver = new MemoryStorageResolver();
        await using (var disk = await VirtualDisk.CreateAsync("/x.vhd", options with { Size = source.Length }, resolver))
        {
            await ConvertOperation.RunAsync(source, disk.Device, new ConvertOptions { TargetIsZero = true, SparseSize = Math.Min(4096, options.BlockSize ?? 4096) });
        }

        await using var storage = await resolver.OpenAsync("/x.vhd", StorageOpenOptions.ForReading);
        return storage.Length;
    }
}
