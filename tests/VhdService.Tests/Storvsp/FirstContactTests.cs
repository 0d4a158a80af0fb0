using VhdService.Testing;

namespace VhdService.Tests.Storvsp;

public sealed class FirstContactTests
{
    [Fact]
    public async Task A_guest_boots_finds_its_disk_and_uses_it()
    {
        await using var device = new RamDevice(8 << 20);
        await using var machine = new HostMachine(new PumpedWorld(1));
        machine.Target.Attach(0, device);
        var disk = machine.StartDisk();
        Assert.Equal((8 << 20) / 512, disk.BlockCount);
        var content = new byte[64 << 10];
        new Random(1).NextBytes(content);
        disk.WriteBlocks(1000, content, pageOffset: 512);
        Assert.Equal(content, disk.ReadBlocks(1000, 128));
        Assert.Equal(content, device.Content.Slice(1000 * 512, content.Length).ToArray());
        disk.Driver.Close();
        Assert.Empty(machine.Complaints);
    }

    [Fact]
    public async Task A_guest_boots_beside_a_host_on_threads()
    {
        using var world = new ThreadedWorld();
        await using var device = new RamDevice(8 << 20);
        await using var machine = new HostMachine(world);
        machine.Target.Attach(0, device);
        var disk = machine.StartDisk();
        var content = new byte[64 << 10];
        new Random(1).NextBytes(content);
        disk.WriteBlocks(1000, content, pageOffset: 512);
        Assert.Equal(content, disk.ReadBlocks(1000, 128));
        disk.Driver.Close();
        Assert.Empty(machine.Complaints);
    }
}
