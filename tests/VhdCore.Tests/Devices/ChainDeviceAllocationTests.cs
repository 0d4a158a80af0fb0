using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Tests.Vhdx;
using VhdCore.Vhd;

namespace VhdCore.Tests.Devices;

[Collection(RunsAlone.Name)]
public class ChainDeviceAllocationTests
{
    private const int Requests = 2000;

    [Fact]
    public async Task Reads_through_a_chain_and_overwrites_allocate_nothing_in_the_steady_state()
    {
        ReleaseBuild.Require();
        using var folder = new TempFolder();
        var parent = new PlainVhdBuilder { FileName = "parent.vhd", Size = 8 << 20, Dialect = PlainDialect.Xen }.PutText(0, 6000);
        var child = new PlainVhdBuilder { FileName = "child.vhd", Size = 8 << 20, Dialect = PlainDialect.Xen, Parent = parent, Id = 2 }.PutText(100, 500);
        await using var device = await OpenAsync(folder, child, parent);
        using var buffer = new NativeBuffer(4096);

        Assert.Equal(0, await Measure(i => device.ReadAsync(i % 2000 * 4096, buffer.Buffers)));
        Assert.Equal(0, await Measure(i => device.WriteAsync((112 * 512) + (i % 40 * 4096), buffer.Buffers)));
        Assert.Equal(0, await Measure(i => device.WriteAsync((112 * 512) + 77 + (i % 40 * 4096), buffer.Slice(0, 1234))));
    }

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task Reads_through_a_chain_of_vhdx_and_overwrites_allocate_nothing_in_the_steady_state(int sectorSize)
    {
        ReleaseBuild.Require();
        using var folder = new TempFolder();
        var files = new FileStorageResolver();
        var file = new VhdxFile { Size = 16 << 20, SectorSize = sectorSize };
        string[] names = [folder["child.vhdx"], folder["parent.vhdx"]];
        await VhdxFiles.CreateAsync(files, names[1], file);
        using var buffer = new NativeBuffer(8192);
        await using (var parent = await VhdxFiles.OpenAsync(files, names[1]))
        {
            for (var offset = 0; offset < 4 << 20; offset += 2 * 4096)
            {
                Assert.Equal(BlockStatus.Ok, await parent.WriteAsync(offset, buffer.Buffers));
            }
        }

        await VhdxFiles.CreateAsync(files, names[0], file with { Kind = ImageKind.Differencing, Parent = "parent.vhdx", ParentPath = names[1] });
        await using var device = await VhdxFiles.OpenAsync(files, names);
        for (var offset = 0; offset < 2 << 20; offset += 3 * 8192)
        {
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(offset, buffer.Buffers)); // blocks of some sectors
        }

        Assert.Equal(BlockStatus.Ok, await device.TrimAsync(3 << 20, 1 << 20)); // and one of zeros
        Assert.Equal(BlockStatus.Ok, await device.WriteAsync(3 << 20, buffer.Buffers)); // that is whole then
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());

        Assert.Equal(0, await Measure(i => device.ReadAsync(i % 4000 * 4096, buffer.Slice(0, 4096))));
        Assert.Equal(0, await Measure(i => device.WriteAsync(i % 80 * (3 * 8192), buffer.Buffers)));
        Assert.Equal(0, await Measure(i => device.WriteAsync(77 + (i % 80 * (3 * 8192)), buffer.Slice(0, 1234))));
        Assert.Equal(0, await Measure(i => device.WriteAsync((3 << 20) + (i % 200 * 4096), buffer.Slice(0, 4096))));
    }

    private static async Task<long> Measure(Func<int, ValueTask<BlockStatus>> request)
    {
        // Bitmaps are read, pools filled and methods compiled to their last tier by the first rounds. A round in which the kernel had dropped a page of the
        // file from its cache, so that a request had to be waited for, says nothing.
        var perRequest = long.MaxValue;
        for (var round = 0; round < 200 && perRequest > 0; round++)
        {
            var waits = 0;
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < Requests; i++)
            {
                waits += Complete(request(i)) ? 0 : 1;
            }

            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (waits == 0)
            {
                perRequest = Math.Min(perRequest, allocated / Requests);
            }

            if (perRequest > 0)
            {
                await Task.Delay(20);
            }
        }

        Assert.True(perRequest < long.MaxValue, "cached requests complete at once, and in no round all did");
        return perRequest;
    }

    /// <returns>Whether it was complete at once.</returns>
    private static bool Complete(ValueTask<BlockStatus> task)
    {
        var isComplete = task.IsCompletedSuccessfully;
        var status = isComplete ? task.Result : task.AsTask().GetAwaiter().GetResult();
        if (status != BlockStatus.Ok)
        {
            Assert.Fail(status.ToString());
        }

        return isComplete;
    }

    private static async Task<ChainDevice> OpenAsync(TempFolder folder, params PlainVhdBuilder[] images)
    {
        var gate = new InFlightGate();
        var layers = new List<IImageLayer>();
        foreach (var image in images)
        {
            var path = folder[image.FileName];
            await File.WriteAllBytesAsync(path, image.Build());
            var isLeaf = layers.Count == 0;
            var options = new ImageOpenOptions { Writable = isLeaf };
            var storage = await new FileStorageResolver().OpenAsync(path, isLeaf ? StorageOpenOptions.ForWriting : StorageOpenOptions.ForReading);
            var metadata = await VhdMetadataReader.ReadAsync(storage, options, default);
            layers.Add(isLeaf ? await VhdWriter.OpenAsync(storage, metadata, options, gate) : await VhdLayer.OpenAsync(storage, metadata, options));
        }

        return new ChainDevice(new ChainState(layers, layers[0].Length), gate, new BlockDeviceInfo { Name = "chain" }, new ManualClock());
    }
}
