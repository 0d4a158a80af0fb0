using VhdService.Testing;
using VhdService.Vmbus;
using VhdService.Vmbus.Wire;

namespace VhdService.Tests.Vmbus;

public sealed class ConnectionTests
{
    public static TheoryData<uint> Versions => [GuestBus.V3_0, GuestBus.V4_0, GuestBus.V4_1, GuestBus.V5_0, GuestBus.V5_1, GuestBus.V5_2, GuestBus.V5_3];

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task A_guest_walks_down_to_the_highest_version_that_the_host_has(uint highest)
    {
        await using var machine = Machine(new VmbusServerSettings { MaxVersion = new VmbusVersion(highest) });
        machine.Processors.Boot();
        machine.Guest.Connect();
        Assert.Equal(highest, machine.Guest.Version);
        Assert.Equal(highest >= GuestBus.V5_0 ? 4u : 1u, machine.Guest.Connection);
        Assert.Equal($"{highest >> 16}.{highest & 0xFFFF}", machine.Bus.GuestVersion);
        machine.Guest.RequestOffers();
        Assert.Single(machine.Guest.Offers);
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task A_guest_uses_its_disk_at_every_version(uint version)
    {
        await using var device = new RamDevice(1 << 20);
        await using var machine = Machine();
        machine.Target.Attach(0, device);
        machine.Processors.Boot();
        machine.Guest.Connect(highest: version);
        machine.Guest.RequestOffers();
        var disk = new MiniSd(GuestStorvsc.Start(machine.Guest, machine.Guest.Offers[0]));
        disk.Probe();
        disk.WriteBlocks(5, Enumerable.Repeat((byte)0x5A, 1024).ToArray());
        Assert.Equal(0x5A, device.Content[5 * 512]);
        disk.Driver.Close();
        machine.Guest.Unload();
        Assert.Null(machine.Bus.GuestVersion);
    }

    [Theory]
    [InlineData(0x00000000u)]
    [InlineData(0x00020004u)] // 2.4
    [InlineData(0x00050004u)]
    [InlineData(0x00060000u)] // negotiates features
    [InlineData(0xFFFFFFFFu)]
    public async Task Other_versions_are_refused(uint version)
    {
        await using var machine = Machine();
        machine.Processors.Boot();
        var answer = machine.Guest.InitiateContact(version);
        Assert.Equal(16, answer.Length);
        Assert.Equal(0, answer[8]);
        Assert.Null(machine.Bus.GuestVersion);
    }

    [Fact]
    public async Task Messages_come_to_the_processor_that_the_guest_names()
    {
        await using var machine = Machine(processors: 3);
        machine.Processors.Boot();
        machine.Guest.Connect(processor: 2);
        machine.Guest.RequestOffers();
        Assert.Equal(0, machine.Processors.Interrupts(0));
        Assert.True(machine.Processors.Interrupts(2) >= 3);
    }

    [Fact]
    public async Task A_processor_that_is_none_gets_no_answer()
    {
        await using var machine = Machine();
        machine.Processors.Boot();
        var message = GuestBus.Message(14, 40);
        GuestBus.Put(message, 8, GuestBus.V5_3);
        GuestBus.Put(message, 12, 7);
        message[16] = 2;
        machine.Guest.Post(message);
        machine.Pump();
        Assert.Null(machine.Processors.PeekMessage(0));
        Assert.Single(machine.Complaints);
    }

    [Fact]
    public async Task Another_SINT_is_refused()
    {
        await using var machine = Machine();
        machine.Processors.Boot();
        var message = GuestBus.Message(14, 40);
        GuestBus.Put(message, 8, GuestBus.V5_3);
        message[16] = 3;
        machine.Guest.Post(message);
        Assert.Equal(0, machine.Guest.WaitFor(15)[8]);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(2u)]
    [InlineData(3u)]
    [InlineData(5u)]
    [InlineData(0x800074u)]
    [InlineData(0x2001u)]
    public async Task Connections_of_other_numbers_are_none(uint connection)
    {
        await using var machine = Machine();
        machine.Processors.Boot();
        Assert.Equal(0x12u, machine.Processors.PostMessage(connection, GuestBus.Message(3, 8)));
    }

    [Fact]
    public async Task Messages_of_another_type_or_of_more_than_240_bytes_are_invalid()
    {
        await using var machine = Machine();
        machine.Processors.Boot();
        Assert.Equal(5u, machine.Processors.PostMessage(4, GuestBus.Message(3, 8), type: 2));
        var input = machine.Ram.Allocate() * 4096;
        machine.Ram.U32(input) = 4;
        machine.Ram.U32(input + 8) = 1;
        foreach (var size in new uint[] { 241, 4096, uint.MaxValue })
        {
            machine.Ram.U32(input + 12) = size;
            Assert.Equal(5u, machine.Processors.Partition.Hypercall(0x5C, input, 0));
        }
    }

    [Fact]
    public async Task Sixteen_messages_wait_and_the_seventeenth_is_refused_for_now()
    {
        await using var machine = Machine();
        machine.Processors.Boot();
        for (var i = 0; i < 16; i++)
        {
            Assert.Equal(0u, machine.Processors.PostMessage(4, GuestBus.Message(3, 8)));
        }

        Assert.Equal(0x13u, machine.Processors.PostMessage(4, GuestBus.Message(3, 8)));
        machine.Pump();
        Assert.Equal(0u, machine.Processors.PostMessage(4, GuestBus.Message(3, 8)));
    }

    [Fact]
    public async Task A_guest_that_takes_no_answers_is_not_listened_to_for_ever()
    {
        await using var machine = Machine();
        machine.Boot();
        var accepted = 0;
        while (accepted < 1000)
        {
            // Each is answered, and the guest reads nothing: what the host holds must not grow.
            var message = GuestBus.Message(22, 16);
            if (machine.Processors.PostMessage(4, message) != 0)
            {
                break;
            }

            accepted++;
            machine.Pump();
        }

        Assert.InRange(accepted, 16, 64);
        var answers = 0;
        machine.Guest.Until(
            () =>
            {
                answers += machine.Guest.TryTake(24) is null ? 0 : 1;
                return answers == accepted;
            },
            "every answer");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(7)]
    public async Task Messages_too_short_to_have_a_type_are_ignored(int size)
    {
        await using var machine = Machine();
        machine.Boot();
        machine.Guest.Post(new byte[size]);
        machine.Pump();
        Assert.Single(machine.Complaints);
        machine.Guest.Unload();
    }

    [Theory]
    [InlineData(5u, 147)]
    [InlineData(7u, 11)]
    [InlineData(8u, 19)]
    [InlineData(9u, 15)]
    [InlineData(11u, 15)]
    [InlineData(13u, 11)]
    [InlineData(14u, 39)]
    [InlineData(22u, 15)]
    public async Task Messages_too_short_for_their_type_are_ignored(uint type, int size)
    {
        await using var machine = Machine();
        machine.Boot();
        machine.Guest.Post(GuestBus.Message(type, size));
        machine.Pump();
        Assert.Contains("too short", Assert.Single(machine.Complaints));
        Assert.Null(machine.Processors.PeekMessage(0));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(1u)]
    [InlineData(4u)]
    [InlineData(15u)]
    [InlineData(17u)]
    [InlineData(18u)]
    [InlineData(99u)]
    public async Task Messages_that_guests_do_not_send_are_ignored(uint type)
    {
        await using var machine = Machine();
        machine.Boot();
        machine.Guest.Post(GuestBus.Message(type, 240));
        machine.Pump();
        Assert.Single(machine.Complaints);
        Assert.Null(machine.Processors.PeekMessage(0));
    }

    [Fact]
    public async Task Nothing_is_answered_without_a_connection()
    {
        await using var machine = Machine();
        machine.Processors.Boot();
        foreach (var type in new uint[] { 3, 5, 7, 8, 9, 11, 13, 21, 22 })
        {
            machine.Guest.Post(GuestBus.Message(type, 148));
        }

        machine.Pump();
        Assert.Null(machine.Processors.PeekMessage(0));
        Assert.Equal(9, machine.Complaints.Count);
    }

    [Fact]
    public async Task Offers_come_once()
    {
        await using var machine = Machine();
        machine.Boot();
        machine.Guest.Post(GuestBus.Message(3, 8));
        machine.Pump();
        Assert.Null(machine.Processors.PeekMessage(0));
    }

    [Fact]
    public async Task Sockets_are_not_there_and_not_complained_about()
    {
        await using var machine = Machine();
        machine.Boot();
        machine.Guest.Post(GuestBus.Message(21, 48));
        machine.Pump();
        Assert.Empty(machine.Complaints);
        Assert.Null(machine.Processors.PeekMessage(0));
    }

    [Fact]
    public async Task A_new_contact_starts_over_and_nothing_of_the_old_one_comes_through()
    {
        await using var device = new RamDevice(1 << 20);
        await using var machine = Machine();
        machine.Target.Attach(0, device);
        var offer = machine.Boot();
        GuestStorvsc.Start(machine.Guest, offer);

        // A crash kernel: no close, no unloading, and answers to the old kernel still in flight. The first is in the guest's memory already.
        machine.Guest.ModifyChannel(offer.Relid, 0);
        machine.Guest.ModifyChannel(offer.Relid, 0);
        machine.Guest.ModifyChannel(offer.Relid, 0);
        var contact = GuestBus.Message(14, 40);
        GuestBus.Put(contact, 8, GuestBus.V5_3);
        contact[16] = 2;
        machine.Guest.Post(contact);
        machine.Pump();
        machine.Guest.Poll();
        Assert.Equal([24u, 15u], machine.Guest.Waiting.Select(message => GuestBus.Get(message, 0)));
        machine.Guest.Connect();
        Assert.Empty(machine.Guest.Rescinded);
        machine.Guest.RequestOffers();
        var disk = new MiniSd(GuestStorvsc.Start(machine.Guest, Assert.Single(machine.Guest.Offers)));
        disk.Probe();
    }

    private static HostMachine Machine(VmbusServerSettings? settings = null, int processors = 1) => new(new PumpedWorld(3), processors, settings: settings);
}
