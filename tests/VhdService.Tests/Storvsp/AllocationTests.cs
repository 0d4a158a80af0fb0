using VhdService.Testing;

namespace VhdService.Tests.Storvsp;

public sealed class AllocationTests
{
    [Theory]
    [InlineData(4096)]
    [InlineData(64 << 10)]
    public async Task A_request_gives_nothing_to_the_collector(int readSize)
    {
        var world = new DirectWorld();
        await using var device = new RamDevice(4 << 20);
        new Random(1).NextBytes(device.Content);
        await using var machine = new HostMachine(world, ramPages: 4096);
        machine.Target.Attach(0, device);
        using var load = new ReadLoad(world, machine.Start(), depth: 32, readSize);
        var offsets = Enumerable.Range(0, load.Depth).Select(i => (long)i * readSize % (2 << 20)).ToArray();
        for (var round = 0; round < 50; round++)
        {
            load.Run(offsets); // requests are made when they are first needed
        }

        world.Reset();
        var signals = load.SignalCount;
        for (var round = 0; round < 100; round++)
        {
            load.Run(offsets);
        }

        Assert.Equal(0, world.HostAllocated);
        Assert.InRange(world.InterruptCount + (load.SignalCount - signals), 1, 100 * load.Depth / 10 * (readSize > 4096 ? 4 : 1)); // large ones are shown sooner
        for (var index = 0; index < load.Depth; index++)
        {
            Assert.Equal(device.Content.Slice((int)offsets[index], readSize).ToArray(), load.Data(index));
        }
    }
}
