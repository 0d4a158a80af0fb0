using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Recording;

namespace VhdCore.Tests.Devices;

/// <summary>What many writes into fresh blocks and one flush cost the medium, from opening to closing.</summary>
public class AllocatingWritesTests
{
    private const int MiB = 1 << 20;
    private const int Writes = 4000;

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(32, 1)]
    [InlineData(1, 16)]
    public async Task A_vhdx_takes_few_flushes_and_log_writes(int blockSize, int writers)
    {
        var operations = await RunAsync(new ImageCreateOptions { Format = ImageFormat.Vhdx, BlockSize = blockSize * MiB, Size = (long)Writes * blockSize * MiB }, writers);
        Assert.InRange(operations.Count(operation => operation.Operation == StorageOperation.Flush), 1, 8);
        Assert.InRange(operations.Count(operation => operation.Operation == StorageOperation.Write && operation.Offset is >= MiB and < 2 * MiB), 1, 16);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    public async Task A_vhd_takes_few_flushes(int writers)
    {
        var operations = await RunAsync(new ImageCreateOptions { Format = ImageFormat.Vhd, Size = (long)Writes * 2 * MiB }, writers);
        Assert.InRange(operations.Count(operation => operation.Operation == StorageOperation.Flush), 1, 4);
    }

    private static async Task<IReadOnlyList<RecordedOperation>> RunAsync(ImageCreateOptions options, int writers)
    {
        var memory = new MemoryStorageResolver();
        var name = options.Format == ImageFormat.Vhd ? "/a.vhd" : "/a.vhdx";
        await using (await VirtualDisk.CreateAsync(name, options, memory))
        {
        }

        var resolver = new RecordingResolver(memory);
        var stride = options.Size!.Value / Writes;
        var disk = await VirtualDisk.OpenAsync(name, new ImageOpenOptions { Writable = true }, resolver);
        ((ChainDevice)disk.Device).CommitsByTime = false; // however slow the machine is
        using (var buffer = new NativeBuffer(4096))
        {
            buffer.Span.Fill(7);
            await Parallel.ForEachAsync(
                Enumerable.Range(0, Writes),
                new ParallelOptions { MaxDegreeOfParallelism = writers },
                async (i, token) => Assert.Equal(BlockStatus.Ok, await disk.Device.WriteAsync(i * stride, buffer.Buffers, cancellationToken: token)));
        }

        Assert.Equal(BlockStatus.Ok, await disk.Device.FlushAsync());
        await disk.DisposeAsync();
        return resolver.Operations;
    }
}
