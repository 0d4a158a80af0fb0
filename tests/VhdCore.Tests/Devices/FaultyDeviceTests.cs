using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Independent;
using VhdCore.Tests.Model;

namespace VhdCore.Tests.Devices;

/// <summary>A disk whose medium fails once, at every operation in turn, or is full: nothing wrong is ever read, and what was flushed stays.</summary>
public class FaultyDeviceTests
{
    private const string Leaf = "/leaf.vhd";
    private const int Size = (8 * 4096) + 1024;

    [Theory]
    [InlineData(StorageOperation.Read, false)]
    [InlineData(StorageOperation.Read, true)]
    [InlineData(StorageOperation.Write, false)]
    [InlineData(StorageOperation.Write, true)]
    [InlineData(StorageOperation.Extend, false)]
    [InlineData(StorageOperation.Extend, true)]
    [InlineData(StorageOperation.Flush, false)]
    [InlineData(StorageOperation.Flush, true)]
    [InlineData(StorageOperation.Punch, false)]
    [InlineData(StorageOperation.SetLength, false)]
    public async Task Whichever_operation_fails_no_wrong_byte_is_read_and_what_was_flushed_stays(StorageOperation operation, bool isDifferencing)
    {
        var failed = 0;
        for (var seed = 1; seed <= 3; seed++)
        {
            // The first ones all, later ones ever more sparsely.
            for (var nth = 1; await RunAsync(operation, nth, isDifferencing, seed); nth += 1 + (nth / 4))
            {
                failed++;
            }
        }

        Assert.True(failed > 0, $"The scripts make no {operation} at all.");
    }

    [Fact]
    public async Task A_full_medium_refuses_new_blocks_and_takes_everything_else()
    {
        var memory = new MemoryStorageResolver();
        memory.Add(Leaf, new PlainVhdBuilder { FileName = Leaf[1..], Size = Size, BlockSize = 4096 }.Build());
        var plan = new FaultPlan();
        await using var disk = await OpenAsync(new FaultResolver(memory, plan));
        var device = disk.Device;
        var content = new byte[4096];
        Array.Fill(content, (byte)7);
        Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(0, content));
        plan.LimitSpace(0);

        // What is ready is used up first; then there is no space.
        var statuses = new List<BlockStatus>();
        for (var block = 1; block < 8; block++)
        {
            statuses.Add(await device.WriteBytesAsync(block * 4096, content));
        }

        Assert.Equal(BlockStatus.NoSpace, statuses[^1]);
        Assert.All(statuses, status => Assert.Contains(status, (BlockStatus[])[BlockStatus.Ok, BlockStatus.NoSpace]));
        content[0] = 8;
        Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(0, content));
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        Assert.Equal(content, await device.ReadBytesAsync(0, 4096));
        Assert.Equal(BlockStatus.NoSpace, await device.WriteBytesAsync(7 * 4096, content));

        plan.LimitSpace(null);
        Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(7 * 4096, content));
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        Assert.Equal(content, await device.ReadBytesAsync(7 * 4096, 4096));
    }

    /// <returns>Whether the script came as far as the failing operation.</returns>
    private static async Task<bool> RunAsync(StorageOperation operation, int nth, bool isDifferencing, int seed)
    {
        var (memory, content) = CreateImages(isDifferencing);
        var plan = new FaultPlan();
        var where = $"seed {seed}, {operation} {nth} fails, {(isDifferencing ? "differencing" : "dynamic")}";
        var bytes = new UncertainBytes(content);
        var disk = await OpenAsync(new FaultResolver(memory, plan));
        plan.Fail(operation, nth);
        var before = plan.Count(operation);
        await RunScriptAsync(disk.Device, bytes, new Random(seed), where);
        try
        {
            await disk.DisposeAsync();
        }
        catch (ImageException)
        {
            // It could not be closed cleanly; it is closed all the same.
        }

        var report = await CheckOperation.RunAsync(Leaf, resolver: memory);
        Assert.True(report.Findings.All(finding => finding.Severity != CheckSeverity.Corruption), $"{where}: {string.Join("; ", report.Findings.Select(finding => finding.Message))}");
        await using var reader = await VirtualDisk.OpenAsync(Leaf, resolver: memory);
        var left = await reader.Device.ReadBytesAsync(0, Size);
        var wrong = bytes.FindImpossibleAfterReopening(left);
        Assert.True(wrong < 0, $"{where}: opened again, byte {wrong} cannot be what it is.");
        return plan.Count(operation) - before >= nth;
    }

    private static async Task RunScriptAsync(IBlockDevice device, UncertainBytes bytes, Random random, string where)
    {
        for (var step = 0; step < 60; step++)
        {
            var offset = random.Next(Size);
            var length = random.Next(1, Math.Min(Size - offset, random.Next(2) == 0 ? 700 : 9000) + 1);
            switch (random.Next(10))
            {
                case < 4:
                    var written = new byte[length];
                    random.NextBytes(written);
                    var isWritten = await device.WriteBytesAsync(offset, written) == BlockStatus.Ok;
                    bytes.Write(offset, written, isWritten);
                    break;

                case 4:
                    offset -= offset % 4096;
                    length = Math.Min(4096, Size - offset);
                    await device.TrimAsync(offset, length);
                    bytes.Write(offset, new byte[length], isCertain: false);
                    break;

                case 5:
                    var isZeroed = await device.ZeroAsync(offset, length) == BlockStatus.Ok;
                    bytes.Write(offset, new byte[length], isZeroed);
                    break;

                case < 8:
                    await ReadAsync(device, bytes, offset, length, where);
                    break;

                default:
                    if (await device.FlushAsync() == BlockStatus.Ok)
                    {
                        bytes.Flushed();
                    }

                    break;
            }
        }

        await ReadAsync(device, bytes, 0, Size, where);
    }

    private static async Task ReadAsync(IBlockDevice device, UncertainBytes bytes, int offset, int length, string where)
    {
        using var buffer = new NativeBuffer(length);
        if (await device.ReadAsync(offset, buffer.Buffers) == BlockStatus.Ok)
        {
            var wrong = bytes.Observe(offset, buffer.Span);
            Assert.True(wrong < 0, $"{where}: byte {wrong} cannot be what is read.");
        }
    }

    private static ValueTask<VirtualDisk> OpenAsync(IStorageResolver resolver) => VirtualDisk.OpenAsync(Leaf, new ImageOpenOptions { Writable = true }, resolver);

    private static (MemoryStorageResolver Memory, byte[] Content) CreateImages(bool isDifferencing)
    {
        var memory = new MemoryStorageResolver { ReadsAtOnce = false };
        var root = new PlainVhdBuilder { FileName = "base.vhd", Size = Size, BlockSize = 4096, Id = 1 }.PutText(10, 50);
        if (!isDifferencing)
        {
            var single = new PlainVhdBuilder { FileName = Leaf[1..], Size = Size, BlockSize = 4096, Id = 2 }.PutText(3, 55);
            memory.Add(Leaf, single.Build());
            return (memory, single.Content());
        }

        var leaf = new PlainVhdBuilder { FileName = Leaf[1..], Size = Size, BlockSize = 4096, Id = 2, Parent = root }.PutText(3, 20);
        memory.Add("/base.vhd", root.Build());
        memory.Add(Leaf, leaf.Build());
        return (memory, leaf.Content());
    }
}
