using System.Buffers.Binary;
using VhdService.Scsi;
using VhdService.Storvsp;
using VhdService.Testing;

namespace VhdService.Tests.Storvsp;

public sealed class InitializationTests
{
    private const uint RevisionMismatch = 0xC0000059;
    private const uint InvalidState = 0xC0000184;
    private const uint InvalidRequest = 0xC0000010;
    private const uint InvalidParameter = 0xC000000D;

    [Theory]
    [InlineData(0x0602)]
    [InlineData(0x0600)]
    [InlineData(0x0501)]
    public async Task Versions_of_Windows_8_to_10_are_spoken(ushort version)
    {
        await using var machine = new HostMachine(new PumpedWorld(1));
        var driver = new GuestStorvsc(GuestChannel.Open(machine.Guest, machine.Boot()));
        driver.Initialize(0x0700, 0x0402, 0x0200, version);
        Assert.Equal(version, driver.ProtocolVersion);
        Assert.Equal(1u << 20, driver.MaxTransferBytes);
    }

    [Theory]
    [InlineData(0x0000)]
    [InlineData(0x0200)]
    [InlineData(0x0402)]
    [InlineData(0x0601)]
    [InlineData(0x0603)]
    [InlineData(0xFFFF)]
    public async Task Other_versions_are_refused(ushort version)
    {
        await using var machine = new HostMachine(new PumpedWorld(1));
        var driver = new GuestStorvsc(GuestChannel.Open(machine.Guest, machine.Boot()));
        driver.Configure(7);
        var reply = driver.Configure(9, payload => BinaryPrimitives.WriteUInt16LittleEndian(payload, version));
        Assert.Equal(RevisionMismatch, Status(reply));
        Assert.Equal(InvalidState, Status(driver.Configure(10)));
    }

    [Fact]
    public async Task Properties_say_what_the_controller_can_do()
    {
        await using var machine = new HostMachine(new PumpedWorld(1), processors: 4, maxTransferBytes: 256 << 10);
        var driver = machine.Start();
        Assert.Equal(256u << 10, driver.MaxTransferBytes);
        Assert.Equal(3, driver.MaxSubChannels);
        driver.Configure(7);
        driver.Configure(9, payload => BinaryPrimitives.WriteUInt16LittleEndian(payload, 0x0602));
        var properties = driver.Configure(10);
        Assert.Equal("00000000" + "0300" + "0000" + "01000000" + "00000400" + "0000000000000000", Convert.ToHexStringLower(properties.AsSpan(12, 24)));
    }

    [Theory]
    [InlineData(1, 63, 0)]
    [InlineData(2, 63, 1)]
    [InlineData(8, 3, 3)]
    [InlineData(8, 0, 0)]
    public async Task There_are_at_most_as_many_channels_as_processors(int processors, int allowed, int expected)
    {
        await using var machine = new HostMachine(new PumpedWorld(1), processors, options: new StorvspOptions { MaxSubChannels = allowed });
        Assert.Equal(expected, machine.Start().MaxSubChannels);
    }

    [Fact]
    public async Task Steps_out_of_order_are_refused()
    {
        await using var machine = new HostMachine(new PumpedWorld(1), processors: 2);
        var driver = new GuestStorvsc(GuestChannel.Open(machine.Guest, machine.Boot()));
        foreach (var operation in new uint[] { 8, 9, 10, 13 })
        {
            Assert.Equal(InvalidState, Status(driver.Configure(operation)));
        }

        driver.Configure(7);
        Assert.Equal(InvalidState, Status(driver.Configure(8)));
        Assert.Equal(InvalidState, Status(driver.Configure(10)));
        driver.Configure(9, payload => BinaryPrimitives.WriteUInt16LittleEndian(payload, 0x0602));
        Assert.Equal(InvalidState, Status(driver.Configure(8)));
        Assert.Equal(InvalidState, Status(driver.Configure(13)));
        driver.Initialize();
    }

    [Fact]
    public async Task Requests_before_the_end_of_initialization_are_refused()
    {
        await using var device = new RamDevice(1 << 20);
        await using var machine = new HostMachine(new PumpedWorld(1));
        machine.Target.Attach(0, device);
        var driver = new GuestStorvsc(GuestChannel.Open(machine.Guest, machine.Boot()));
        Assert.Equal(InvalidState, driver.Execute(new byte[6]).VstorStatus);
        driver.Initialize();
        Assert.True(driver.Execute(new byte[6]).IsGood);
        driver.Configure(7); // and from the beginning
        Assert.Equal(InvalidState, driver.Execute(new byte[6]).VstorStatus);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(1u)]
    [InlineData(2u)]
    [InlineData(11u)]
    [InlineData(12u)]
    [InlineData(14u)]
    [InlineData(uint.MaxValue)]
    public async Task Other_operations_are_refused(uint operation)
    {
        await using var machine = new HostMachine(new PumpedWorld(1));
        Assert.Equal(InvalidRequest, Status(machine.Start().Configure(operation)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sub_channels_are_offered_before_or_after_the_end_of_initialization(bool isBefore)
    {
        await using var machine = new HostMachine(new PumpedWorld(1), processors: 3);
        var driver = new GuestStorvsc(GuestChannel.Open(machine.Guest, machine.Boot()));
        if (isBefore)
        {
            driver.Configure(7);
            driver.Configure(9, payload => BinaryPrimitives.WriteUInt16LittleEndian(payload, 0x0602));
            driver.Configure(10);
            driver.OpenSubChannels(2);
            Assert.Equal(0u, Status(driver.Configure(8)));
        }
        else
        {
            driver.Initialize();
            driver.OpenSubChannels(2);
        }

        var offers = machine.Guest.Offers;
        Assert.Equal([0, 1, 2], offers.Select(offer => offer.SubChannelIndex));
        Assert.Single(offers.Select(offer => offer.InstanceId).Distinct());
        Assert.Equal(3, offers.Select(offer => offer.Relid).Distinct().Count());
        Assert.Equal(3, machine.Controller.Statistics.OpenChannels);
        driver.Close();
        Assert.Equal(0, machine.Controller.Statistics.OpenChannels);
        Assert.Empty(machine.Complaints);
    }

    [Fact]
    public async Task More_sub_channels_than_there_are_are_refused()
    {
        await using var machine = new HostMachine(new PumpedWorld(1), processors: 3);
        var driver = machine.Start();
        foreach (ushort count in new ushort[] { 3, 64, ushort.MaxValue })
        {
            Assert.Equal(InvalidParameter, Status(driver.Configure(13, payload => BinaryPrimitives.WriteUInt16LittleEndian(payload, count))));
        }

        driver.OpenSubChannels(1);
        driver.OpenSubChannels(1);
        Assert.Equal(InvalidParameter, Status(driver.Configure(13, payload => payload[0] = 1)));
        Assert.Equal(3, machine.Guest.Offers.Count);
    }

    [Fact]
    public async Task Sub_channels_serve_the_same_disks_and_end_with_the_first_channel()
    {
        await using var device = new RamDevice(1 << 20);
        await using var machine = new HostMachine(new PumpedWorld(1), processors: 3);
        machine.Target.Attach(0, device);
        var offer = machine.Boot();
        for (var life = 0; life < 3; life++)
        {
            var driver = GuestStorvsc.Start(machine.Guest, offer);
            driver.OpenSubChannels(2);
            var disk = new MiniSd(driver);
            disk.Probe();
            for (var channel = 0; channel < 3; channel++)
            {
                var content = Enumerable.Repeat((byte)((life * 3) + channel + 1), 512).ToArray();
                disk.WriteBlocks(channel, content, channel: channel);
                Assert.Equal(content, disk.ReadBlocks(channel, 1, channel: (channel + 1) % 3));
            }

            Assert.True(machine.Processors.Interrupts(1) > 0 && machine.Processors.Interrupts(2) > 0);
            Assert.Equal(InvalidRequest, Status(driver.Configure(7, channel: 1)));
            machine.Guest.Rescinded.Clear();
            driver.Close();
            machine.Guest.Until(() => machine.Guest.Rescinded.Count == 2, "the end of the sub-channels");
            foreach (var relid in machine.Guest.Rescinded)
            {
                machine.Guest.ReleaseRelid(relid);
            }

            machine.Pump();
        }

        Assert.Empty(machine.Complaints);
    }

    [Fact]
    public async Task The_guest_is_told_that_units_have_come_or_gone_once_it_is_ready()
    {
        await using var device = new RamDevice(1 << 20);
        await using var machine = new HostMachine(new PumpedWorld(1));
        machine.Target.Attach(0, device);
        var driver = new GuestStorvsc(GuestChannel.Open(machine.Guest, machine.Boot()));
        machine.Target.Attach(1, device);
        machine.Pump();
        driver.Poll();
        Assert.Equal(0, driver.Enumerations);
        driver.Initialize();
        Assert.Equal([0, 1], MiniSd.ReportLuns(driver));

        machine.Target.Attach(5, device, new ScsiDiskOptions { Id = new Guid("11111111-2222-3333-4444-555555555555") });
        machine.Guest.Until(
            () =>
            {
                driver.Poll();
                return driver.Enumerations == 1;
            },
            "the word that a unit has come");
        Assert.Equal([0, 1, 5], MiniSd.ReportLuns(driver));
        Assert.True(MiniSd.IsPresent(driver, 5));
        new MiniSd(driver, 5).Probe();

        machine.Target.Detach(1);
        machine.Guest.Until(
            () =>
            {
                driver.Poll();
                return driver.Enumerations == 2;
            },
            "the word that a unit has gone");
        Assert.Equal(0x20, driver.Execute(new byte[6], lun: 1).SrbStatus);
        Assert.False(MiniSd.IsPresent(driver, 1));
    }

    private static uint Status(byte[] reply) => GuestBus.Get(reply, 8);
}
