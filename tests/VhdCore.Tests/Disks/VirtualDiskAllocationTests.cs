using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Disks;

[Collection(RunsAlone.Name)]
public sealed class VirtualDiskAllocationTests
{
    [Fact]
    public async Task A_request_that_completes_at_once_allocates_nothing()
    {
        await using var disk = await OpenAsync(Memory(Image("base.vhd", 1).PutText(0, 10)), "/vm/base.vhd");
        var buffer = new byte[512];
        var least = long.MaxValue;

        // The runtime itself may allocate when it compiles a method again; the requests would in every round.
        for (var round = 0; round < 100 && least >= 100 * 16; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 100; i++)
            {
                var request = disk.ReadAsync(i, buffer, CancellationToken.None);
                Assert.True(request.IsCompletedSuccessfully);
                await request;
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.True(least < 100 * 16, $"{least} bytes were allocated in 100 requests.");
    }
}
