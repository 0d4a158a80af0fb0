using System.Buffers.Binary;
using System.Globalization;
using VhdCore.Testing;
using VhdService.Testing;

namespace VhdService.Tests.Storvsp;

/// <summary>What an unmodified Debian kernel (6.12, VMBus 5.3) said to its host, in its order.</summary>
public sealed class TraceTests
{
    [Fact]
    public async Task A_kernel_s_session_goes_as_it_went()
    {
        await using var device = new RamDevice(64 << 20) { World = null };
        await using var machine = new HostMachine(new PumpedWorld(1), ramPages: 2048);
        machine.Target.Attach(0, device);
        ReplayRegisters(machine);
        ReplayBus(machine, out var channel);
        var driver = new GuestStorvsc(channel);
        driver.Initialize();
        Assert.Equal(1u << 20, driver.MaxTransferBytes);
        var count = 0;
        foreach (var line in File.ReadLines(RepositoryFiles.PathOf("tests/VhdService.Tests/Storvsp/Traces/debian-6.12.txt")).Where(line => line[0] != '#'))
        {
            ReplayRequest(machine, driver, line);
            count++;
        }

        Assert.Equal(42, count);

        // rmmod: nothing is said about a close.
        machine.Guest.Close(channel.Offer.Relid);
        machine.Pump();
        Assert.Null(machine.Processors.PeekMessage(0));
        machine.Guest.PostTearDown(channel.Offer.Relid, channel.Gpadl);
        Assert.Equal(12, machine.Guest.WaitFor(12).Length);
        Assert.Empty(machine.Complaints);
    }

    private static void ReplayRegisters(HostMachine machine)
    {
        var processors = machine.Processors;
        ulong Page() => (machine.Ram.Allocate() * 4096) | 1;
        Assert.Equal(0x3b9aca00u, processors.ReadMsr(0, 0x40000023));
        processors.WriteMsr(0, 0x40000118, 1);
        Assert.Equal(2_500_000_000u, processors.ReadMsr(0, 0x40000022));
        Assert.Equal(0u, processors.ReadMsr(0, 0x40000002));
        processors.WriteMsr(0, 0x40000073, Page());
        processors.WriteMsr(0, 0x40000000, 0x8100_0006_0C75_0000);
        Assert.Equal(0u, processors.ReadMsr(0, 0x40000001));
        var hypercall = Page();
        processors.WriteMsr(0, 0x40000001, hypercall);
        Assert.Equal(hypercall, processors.ReadMsr(0, 0x40000001));
        Assert.Equal(0u, processors.ReadMsr(0, 0x40000083));
        Assert.Equal(0u, processors.ReadMsr(0, 0x40000082));
        Assert.Equal(0x10000u, processors.ReadMsr(0, 0x40000092));
        Assert.Equal(0u, processors.ReadMsr(0, 0x40000080));
        processors.EnableSynic(0);
    }

    private static void ReplayBus(HostMachine machine, out GuestChannel channel)
    {
        var answer = machine.Guest.InitiateContact(GuestBus.V5_3);
        Assert.Equal("0f00000000000000" + "01000000" + "04000000", Convert.ToHexStringLower(answer));
        machine.Guest.Post(GuestBus.Message(3, 8));
        Assert.Equal(8, machine.Guest.WaitFor(4).Length);
        var offer = Assert.Single(machine.Guest.Offers);
        Assert.Equal(196, offer.Message.Length);
        Assert.Equal((1u, 0x2001u), (offer.Relid, offer.ConnectionId));
        channel = GuestChannel.Open(machine.Guest, offer); // 64 pages: messages of 236, 240 and 96 bytes
        Assert.Equal(126_976, channel.Outgoing.Size);
    }

    private static void ReplayRequest(HostMachine machine, GuestStorvsc driver, string line)
    {
        var fields = line.Split('|', StringSplitOptions.TrimEntries);
        var place = fields[0].Split(' ').Select(int.Parse).ToArray();
        var length = int.Parse(fields[3], CultureInfo.InvariantCulture);
        var cdb = new byte[int.Parse(fields[1], CultureInfo.InvariantCulture)];
        Convert.FromHexString(fields[4].Replace(" ", "", StringComparison.Ordinal)).AsSpan(0, Math.Min(10, cdb.Length)).CopyTo(cdb);
        if (cdb[0] == 0x9E)
        {
            cdb[13] = (byte)length; // the trace has ten bytes of each
        }

        using var data = length == 0 ? null : new GuestData(machine.Ram, length);
        if (cdb[0] == 0x42)
        {
            var list = new byte[24];
            list[1] = 22;
            list[3] = 16;
            BinaryPrimitives.WriteUInt64BigEndian(list.AsSpan(8), 98_304);
            BinaryPrimitives.WriteUInt32BigEndian(list.AsSpan(16), 8192);
            data!.Set(list);
        }

        var reply = driver.Execute(cdb, (SrbData)int.Parse(fields[2], CultureInfo.InvariantCulture), data, place[2], place[0], place[1]);
        if (cdb[0] == 0x5A)
        {
            Assert.Equal((5, 0x24, 0), reply.SenseCode); // a page that no disk here has; the kernel goes on without
            return;
        }

        Assert.True(reply.IsGood, $"{line}: {reply} {reply.SenseCode}");
        if (cdb[0] is 0x28 or 0x2A or 0x42)
        {
            Assert.Equal((uint)length, reply.Transferred);
        }
        else if (cdb[0] == 0xA0)
        {
            Assert.Equal(place is [0, 0, 0] ? 8 : 0, BinaryPrimitives.ReadInt32BigEndian(data!.ToArray()));
        }
    }
}
