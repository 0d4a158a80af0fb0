using VhdCore.Errors;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Faults;

namespace VhdCore.Tests.TestMedia;

public class FaultStorageTests
{
    [Fact]
    public async Task The_nth_operation_of_a_kind_fails_and_no_other()
    {
        var plan = new FaultPlan();
        await using var storage = new FaultStorage(new MemoryStorage(), plan);
        plan.Fail(StorageOperation.Write, nth: 2);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [1]));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Equal(BlockStatus.IoError, await storage.WriteBytesAsync(0, [2]));
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(1, [3]));
        Assert.Equal([1, 3], await storage.ReadBytesAsync(0, 2));
        Assert.Equal(3, plan.Count(StorageOperation.Write));
    }

    [Fact]
    public async Task A_flush_that_fails_may_go_on_failing()
    {
        var plan = new FaultPlan();
        await using var storage = new FaultStorage(new MemoryStorage(), plan);
        plan.Fail(StorageOperation.Flush, nth: 1, andAllAfter: true);
        Assert.Equal(BlockStatus.IoError, await storage.FlushAsync());
        Assert.Equal(BlockStatus.IoError, await storage.FlushAsync());
        plan.Heal();
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
    }

    [Fact]
    public async Task A_full_medium_takes_overwrites_but_no_growth()
    {
        var plan = new FaultPlan();
        await using var storage = new FaultStorage(new MemoryStorage(), plan);
        plan.LimitSpace(4);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [1, 2, 3]));
        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(2, [9, 9, 9]));
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(1, [7, 8, 9]));
        Assert.Equal([1, 7, 8, 9], await storage.ReadBytesAsync(0, 4));
    }

    [Fact]
    public async Task The_nth_extension_fails_alone()
    {
        var plan = new FaultPlan();
        await using var storage = new FaultStorage(new MemoryStorage(), plan);
        plan.Fail(StorageOperation.Extend, nth: 2, BlockStatus.NoSpace);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [1]));
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [2]));
        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(1, [3]));
        Assert.Equal(1, storage.Length);
    }

    [Fact]
    public void Trying_to_read_comes_up_short_where_the_plan_says()
    {
        var memory = new MemoryStorage();
        memory.Replace(new byte[4096]);
        var storage = new FaultStorage(memory, new FaultPlan(1) { ShortReadProbability = 1 });
        using var buffer = new NativeBuffer(4096);
        Assert.All(Enumerable.Range(0, 20), _ => Assert.InRange(storage.TryRead(0, buffer.Buffers, 0, 4096), 0, 4095));
    }

    [Fact]
    public async Task Operations_in_pieces_let_others_in_between()
    {
        var resolver = new FaultResolver(new MemoryStorageResolver(), new FaultPlan(3) { DelayProbability = 1, PieceSize = 512 });
        await using var storage = await resolver.OpenAsync("/a", StorageOpenOptions.ForCreating);
        var mixed = false;
        for (var round = 0; round < 200 && !mixed; round++)
        {
            var ones = storage.WriteBytesAsync(0, [.. Enumerable.Repeat((byte)1, 8192)]).AsTask();
            var twos = storage.WriteBytesAsync(0, [.. Enumerable.Repeat((byte)2, 8192)]).AsTask();
            await Task.WhenAll(ones, twos);
            mixed = (await storage.ReadBytesAsync(0, 8192)).Distinct().Count() == 2;
        }

        Assert.True(mixed, "In 200 rounds two long writes never overlapped.");
    }
}
