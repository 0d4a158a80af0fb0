using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Faults;

namespace VhdCore.Tests.Devices;

public class ChainMapTests
{
    private const int BlockSize = 2 << 20;
    private const int Blocks = 24;

    [Theory]
    [InlineData(ImageFormat.Vhd)]
    [InlineData(ImageFormat.Vhdx)]
    public async Task Mapping_block_by_block_asks_the_storage_once_for_a_run_that_they_share(ImageFormat format)
    {
        var memory = new MemoryStorageResolver();
        await CreateFullAsync(memory, format);
        var resolver = new FaultResolver(memory, new FaultPlan());
        await using var disk = await VirtualDisk.OpenAsync("disk", null, resolver);
        var before = resolver.Plan.MapCount;
        for (var block = 0; block < Blocks; block++)
        {
            var run = await disk.Device.MapAsync(block * BlockSize, BlockSize);
            Assert.Equal((BlockStatus.Ok, (long)BlockSize, true, false), (run.Status, run.Length, run.IsPresent, run.IsZero));
        }

        Assert.InRange(resolver.Plan.MapCount - before, 1, 2);
    }

    [Fact]
    public async Task Holes_beside_a_run_of_data_are_still_found_in_any_order()
    {
        var memory = new MemoryStorageResolver();
        await CreateFullAsync(memory, ImageFormat.Vhdx);
        long hole;
        await using (var disk = await VirtualDisk.OpenAsync("disk", null, memory))
        {
            hole = (await disk.Device.MapAsync(5 * BlockSize, BlockSize)).StorageOffset;
        }

        await using (var storage = await memory.OpenAsync("disk", VhdCore.Storage.StorageOpenOptions.ForWriting))
        {
            Assert.Equal(BlockStatus.Ok, await storage.PunchHoleAsync(hole, BlockSize));
        }

        await using var again = await VirtualDisk.OpenAsync("disk", null, memory);
        foreach (var block in new[] { 4, 5, 6, 5, 0, 5, Blocks - 1 })
        {
            var run = await again.Device.MapAsync(block * (long)BlockSize, BlockSize);
            Assert.Equal((BlockStatus.Ok, (long)BlockSize, block == 5), (run.Status, run.Length, run.IsZero));
        }
    }

    private static async Task CreateFullAsync(MemoryStorageResolver memory, ImageFormat format)
    {
        await using var disk = await VirtualDisk.CreateAsync(
            "disk", new ImageCreateOptions { Format = format, Size = Blocks * BlockSize, BlockSize = BlockSize }, memory);
        var bytes = new byte[BlockSize];
        new Random(5).NextBytes(bytes);
        for (var block = 0; block < Blocks; block++)
        {
            await disk.WriteAsync(block * (long)BlockSize, bytes);
        }
    }
}
