using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Testing;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Recording;

namespace VhdCore.Tests.Vhdx;

/// <summary>What durability costs: flushes of the medium.</summary>
public class VhdxFlushCountTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task Opening_costs_one_the_first_change_one_and_closing_three()
    {
        var (resolver, _) = await CreateAsync(ImageKind.Dynamic);
        var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx");
        Assert.Equal(1, resolver.FlushCount);
        resolver.Clear();
        await WriteAsync(device, 0);
        Assert.Equal(1, resolver.FlushCount);
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        resolver.Clear();
        Assert.Equal(BlockStatus.Ok, await device.CloseAsync());
        Assert.Equal(3, resolver.FlushCount);
    }

    [Fact]
    public async Task Opening_for_writing_and_closing_costs_one()
    {
        var (resolver, _) = await CreateAsync(ImageKind.Dynamic);
        await using (await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
        }

        Assert.Equal([StorageOperation.Flush], resolver.Operations.Select(operation => operation.Operation));
    }

    [Fact]
    public async Task Opening_with_a_log_to_replay_costs_four()
    {
        var (resolver, memory) = await CreateAsync(ImageKind.Dynamic);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            await WriteAsync(device, 0);
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            memory.Copy("a.vhdx", "killed.vhdx");
        }

        resolver.Clear();
        await using (await VhdxFiles.OpenAsync(resolver, "killed.vhdx"))
        {
            Assert.Equal(4, resolver.FlushCount);
        }

        Assert.Equal(4, resolver.FlushCount);
    }

    [Theory]
    [InlineData(ImageKind.Dynamic, 1)]
    [InlineData(ImageKind.Differencing, 2)]
    public async Task A_flush_after_any_number_of_allocations_costs_one_in_space_known_to_be_zero_and_two_in_a_differencing_disk(ImageKind kind, int cost)
    {
        var (resolver, device) = await OpenAsync(kind);
        await using (device)
        {
            for (var round = 0; round < 3; round++)
            {
                for (var block = 0; block < 8; block++)
                {
                    await WriteAsync(device, ((round * 8) + 1 + block) * MiB);
                }

                Assert.Equal(cost, await FlushAsync(resolver, device));
            }
        }
    }

    [Theory]
    [InlineData(ImageKind.Dynamic)]
    [InlineData(ImageKind.Differencing)]
    [InlineData(ImageKind.Fixed)]
    public async Task A_flush_after_overwrites_costs_one_and_one_after_nothing_none(ImageKind kind)
    {
        var (resolver, device) = await OpenAsync(kind);
        await using (device)
        {
            await WriteAsync(device, 0);
            Assert.Equal(1, await FlushAsync(resolver, device));
            Assert.Equal(0, await FlushAsync(resolver, device));
            await device.ReadBytesAsync(0, 4096);
            Assert.Equal(0, await FlushAsync(resolver, device));
        }
    }

    [Theory]
    [InlineData(ImageKind.Dynamic)]
    [InlineData(ImageKind.Differencing)]
    public async Task A_flush_after_a_trim_costs_one(ImageKind kind)
    {
        var (resolver, device) = await OpenAsync(kind);
        await using (device)
        {
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(0, MiB));
            Assert.Equal(1, await FlushAsync(resolver, device));
        }
    }

    [Theory]
    [InlineData(true, 1)] // it was punched once its release was durable, and a flush since made that durable
    [InlineData(false, 2)]
    public async Task A_place_used_again_costs_two_unless_it_is_known_to_be_zero(bool isFlushedBetween, int cost)
    {
        var clock = new ManualClock();
        var (resolver, device) = await OpenAsync(ImageKind.Dynamic, size: 12 * MiB, clock);
        await using (device)
        {
            for (var block = 1; block < 12; block++)
            {
                await WriteAsync(device, block * MiB);
            }

            await UseAllAsync(resolver, device);
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(2 * MiB, MiB));
            Assert.Equal(1, await FlushAsync(resolver, device));
            if (isFlushedBetween)
            {
                clock.Advance(TimeSpan.FromSeconds(1));
                await WriteAsync(device, 0);
                Assert.Equal(1, await FlushAsync(resolver, device));
            }

            await WriteAsync(device, 2 * MiB);
            Assert.Equal(cost, await FlushAsync(resolver, device));
        }
    }

    [Fact]
    public async Task A_write_with_fua_costs_no_flush_where_it_overwrites_and_what_a_flush_costs_where_it_allocates()
    {
        var (resolver, device) = await OpenAsync(ImageKind.Dynamic);
        await using (device)
        {
            resolver.Clear();
            Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(0, new byte[4096], WriteFlags.Fua));
            Assert.Equal(0, resolver.FlushCount);
            Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(3 * MiB, new byte[4096], WriteFlags.Fua));
            Assert.Equal(1, resolver.FlushCount);
        }

        (resolver, device) = await OpenAsync(ImageKind.Differencing);
        await using (device)
        {
            resolver.Clear();
            Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(0, new byte[512], WriteFlags.Fua));
            Assert.Equal(0, resolver.FlushCount);
            Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(3 * MiB, new byte[512], WriteFlags.Fua));
            Assert.Equal(2, resolver.FlushCount);
        }
    }

    // Leaves no place ready, so that the next block takes one that was given up.
    private static async Task UseAllAsync(RecordingResolver resolver, ChainDevice device)
    {
        await FlushAsync(resolver, device);
        Assert.DoesNotContain(resolver.Operations, operation => operation.Operation == StorageOperation.SetLength);
    }

    private static async Task<int> FlushAsync(RecordingResolver resolver, ChainDevice device)
    {
        resolver.Clear();
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        return resolver.FlushCount;
    }

    private static async Task WriteAsync(ChainDevice device, long offset) => Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, [1, 2, 3]));

    private static async Task<(RecordingResolver Resolver, MemoryStorageResolver Memory)> CreateAsync(ImageKind kind, long size = 32 * MiB)
    {
        var memory = new MemoryStorageResolver();
        var file = new VhdxFile { Size = size, Kind = kind };
        if (kind == ImageKind.Differencing)
        {
            await VhdxFiles.CreateAsync(memory, "parent.vhdx", file with { Kind = ImageKind.Dynamic });
            file = file with { Parent = "parent.vhdx" };
        }

        await VhdxFiles.CreateAsync(memory, "a.vhdx", file);
        return (new RecordingResolver(memory), memory);
    }

    /// <summary>An image whose session has begun, and whose first block is there.</summary>
    private static async Task<(RecordingResolver Resolver, ChainDevice Device)> OpenAsync(ImageKind kind, long size = 32 * MiB, TimeProvider? clock = null)
    {
        var (resolver, _) = await CreateAsync(kind, size);
        string[] names = kind == ImageKind.Differencing ? ["a.vhdx", "parent.vhdx"] : ["a.vhdx"];
        var (device, _) = await VhdxFiles.OpenWithLeafAsync(resolver, new ImageOpenOptions { Writable = true }, names, clock);
        Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(0, new byte[MiB]));
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        resolver.Clear();
        return (resolver, device);
    }
}
