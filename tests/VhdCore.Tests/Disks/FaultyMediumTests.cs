using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Disks;

public sealed class FaultyMediumTests
{
    private const int ManyAttempts = 1000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(StorageOperation.Read)]
    [InlineData(StorageOperation.Write)]
    [InlineData(StorageOperation.Flush)]
    [InlineData(StorageOperation.SetLength)]
    [InlineData(StorageOperation.Rename)]
    public async Task Creating_a_child_either_succeeds_or_leaves_nothing_whichever_operation_fails(StorageOperation operation)
    {
        var parent = Image("base.vhd", 1).PutText(0, 9);
        for (var nth = 1; ; nth++)
        {
            Assert.True(nth < ManyAttempts, "Creating an image takes fewer operations than that.");
            var memory = Memory(parent);
            var plan = new FaultPlan();
            plan.Fail(operation, nth);
            try
            {
                await using var disk = await VirtualDisk.CreateAsync(
                    "/vm/leaf.vhd",
                    new() { Format = ImageFormat.Vhd, Kind = ImageKind.Differencing, Parent = "/vm/base.vhd", BlockSize = BlockSize },
                    new FaultResolver(memory, plan),
                    Token);
                plan.Heal();
                break;
            }
            catch (StorageException exception)
            {
                Assert.Equal(BlockStatus.IoError, exception.Status);
                Assert.Equal(["/vm/base.vhd"], memory.Names);
                await using var unlocked = await memory.OpenAsync("/vm/base.vhd", StorageOpenOptions.ForWriting, Token);
            }
        }
    }

    [Fact]
    public async Task Opening_a_chain_either_succeeds_or_leaves_nothing_open_whichever_read_fails()
    {
        var root = Image("base.vhd", 1).PutText(0, 9);
        var leaf = Image("leaf.vhd", 2, root);
        var failures = 0;
        for (var nth = 1; ; nth++)
        {
            Assert.True(nth < ManyAttempts, "Opening a chain takes fewer reads than that.");
            var memory = Memory(root, leaf);
            var plan = new FaultPlan();
            plan.Fail(StorageOperation.Read, nth);
            try
            {
                await using var disk = await OpenAsync(new FaultResolver(memory, plan), "/vm/leaf.vhd", new() { Writable = true });
                break;
            }
            catch (ImageException)
            {
                failures++;
                await using var unlockedLeaf = await memory.OpenAsync("/vm/leaf.vhd", StorageOpenOptions.ForWriting, Token);
                await using var unlockedRoot = await memory.OpenAsync("/vm/base.vhd", StorageOpenOptions.ForWriting, Token);
            }
        }

        Assert.True(failures > 4, $"Only {failures} reads were needed for two images.");
    }

    [Fact]
    public async Task Closing_says_when_the_last_writes_could_not_be_kept_and_closes_all_the_same()
    {
        var memory = Memory(Image("base.vhd", 1));
        var plan = new FaultPlan();
        var disk = await OpenAsync(new FaultResolver(memory, plan), "/vm/base.vhd", new() { Writable = true });
        ((ChainDevice)disk.Device).CommitsByTime = false; // however slow the machine is
        await disk.WriteAsync(0, new byte[] { 1 }, cancellationToken: Token);
        plan.Fail(StorageOperation.Flush, andAllAfter: true);
        var exception = await Assert.ThrowsAsync<StorageException>(async () => await disk.DisposeAsync());
        Assert.Equal("/vm/base.vhd", exception.Path);
        await using var unlocked = await memory.OpenAsync("/vm/base.vhd", StorageOpenOptions.ForWriting, Token);
    }

    [Fact]
    public async Task After_a_failed_flush_reads_go_on_and_writes_are_refused()
    {
        var plan = new FaultPlan();
        var disk = await OpenAsync(new FaultResolver(Memory(Image("base.vhd", 1)), plan), "/vm/base.vhd", new() { Writable = true });
        ((ChainDevice)disk.Device).CommitsByTime = false; // however slow the machine is
        await disk.WriteAsync(0, new byte[] { 1 }, cancellationToken: Token);
        plan.Fail(StorageOperation.Flush);
        Assert.Equal(BlockStatus.IoError, (await Assert.ThrowsAsync<StorageException>(async () => await disk.FlushAsync(Token))).Status);
        Assert.Equal(BlockStatus.ReadOnly, (await Assert.ThrowsAsync<StorageException>(async () => await disk.WriteAsync(0, new byte[1], cancellationToken: Token))).Status);
        Assert.Equal(1, (await ReadAllAsync(disk))[0]);
        await disk.DisposeAsync();
    }

    [Fact]
    public async Task Requests_that_complete_later_and_in_another_order_move_the_right_bytes()
    {
        const int Seed = 11;
        var image = Image("base.vhd", 1, dialect: PlainDialect.Windows).PutText(0, Size / 512);
        var plan = new FaultPlan(Seed) { DelayProbability = 0.5, ShortReadProbability = 0.5, PieceSize = 300 };
        var disk = await OpenAsync(new FaultResolver(Memory(image), plan), "/vm/base.vhd", new() { Writable = true });
        await using (disk)
        {
            var expected = image.Content();
            var reads = Enumerable.Range(0, 64).Select(async i =>
            {
                var buffer = new byte[1500];
                await disk.ReadAsync(i * 4001, buffer, Token);
                Assert.Equal(expected.AsSpan(i * 4001, 1500).ToArray(), buffer);
            });
            await Task.WhenAll(reads);
        }
    }
}
