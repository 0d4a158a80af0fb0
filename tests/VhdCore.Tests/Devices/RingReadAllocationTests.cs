using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Tests.Storage;

namespace VhdCore.Tests.Devices;

[Collection(RunsAlone.Name)]
public sealed class RingReadAllocationTests
{
    private const int Depth = 32;

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
        using var buffer = new NativeBuffer(Depth * 4096);

        var perRound = await Task.WhenAll(Enumerable.Range(0, Depth).Select(worker => Task.Run(() => ReadManyAsync(worker))));

        Assert.All(perRound, allocated => Assert.InRange(allocated, 0, 89 * Depth)); // below a byte a request: what is left is the test's own

        async Task<long> ReadManyAsync(int worker)
        {
            var least = long.MaxValue;
            for (var round = 0; round < 20 && least > 0; round++)
            {
                var before = 0L;
                for (var i = 0; i < 100; i++)
                {
                    if (await reader.Device.ReadAsync(((i * 37) % 1024) * 4096L, buffer.Slice(worker * 4096, 4096)).ConfigureAwait(false) != BlockStatus.Ok)
                    {
                        Assert.Fail("A read failed.");
                    }

                    before = i == 10 ? GC.GetAllocatedBytesForCurrentThread() : before; // on the ring's thread, where all of this goes on
                }

                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            }

            return least;
        }
    }
}
