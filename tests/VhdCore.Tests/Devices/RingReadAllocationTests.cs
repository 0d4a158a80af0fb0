using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Tests.Storage;
using VhdCore.Tests.Storage.Uring;

namespace VhdCore.Tests.Devices;

[Collection(RunsAlone.Name)]
public sealed class RingReadAllocationTests
{
    [Fact]
    public async Task Reads_of_a_vhdx_that_wait_for_the_medium_allocate_nothing_in_the_steady_state()
    {
        ReleaseBuild.Require();
        using var folder = new TempFolder();
        var io = Engines.Require(Engines.DirectRing);
        await using (var disk = await VirtualDisk.CreateAsync(folder["a.vhdx"], new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = 8 << 20 }))
        {
            await disk.WriteAsync(0, new byte[4 << 20]);
        }

        await using var reader = await VirtualDisk.OpenAsync(folder["a.vhdx"], new ImageOpenOptions { Io = io });
        using var buffer = new NativeBuffer(RingAllocations.Workers * 4096);

        await RingAllocations.RequireNoneAsync((worker, i) => reader.Device.ReadAsync(((i * 37) % 1024) * 4096L, buffer.Slice(worker * 4096, 4096)));
        await RingFixture.LeaveRingAsync();
    }
}
