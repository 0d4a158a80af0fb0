using VhdService.Storvsp;
using VhdService.Testing;

namespace VhdService.Tests.Storvsp;

/// <summary>How packets, signals and limits go together under load, and what a guest loses that breaks the rules.</summary>
public sealed class FlowTests : IAsyncDisposable
{
    private readonly PumpedWorld _world = new(13);
    private readonly RamDevice _device = new(4 << 20);
    private readonly HostMachine _machine;

    public FlowTests()
    {
        _machine = new HostMachine(_world);
        _machine.Target.Attach(0, _device);
    }

    [Fact]
    public void One_request_at_a_time_is_one_signal_each_way()
    {
        var driver = _machine.Start();
        var (interrupts, signals) = (_machine.Processors.Interrupts(0), driver.Channels[0].SignalCount);
        for (var i = 0; i < 100; i++)
        {
            Assert.True(driver.Execute(new byte[6]).IsGood);
            _machine.Pump();
        }

        Assert.Equal(100, _machine.Processors.Interrupts(0) - interrupts);
        Assert.Equal(100, driver.Channels[0].SignalCount - signals);
    }

    [Fact]
    public void Thirty_two_requests_at_a_time_are_at_most_a_tenth_of_a_signal_each()
    {
        var driver = _machine.Start();
        using var data = new GuestData(_machine.Ram, 4096);
        var (interrupts, signals) = (_machine.Processors.Interrupts(0), driver.Channels[0].SignalCount);
        for (var round = 0; round < 100; round++)
        {
            for (var i = 0; i < 32; i++)
            {
                driver.Submit(MiniSd.TransferCdb(0x28, i * 8, 8), SrbData.Read, data);
            }

            _machine.Pump();
            driver.Poll();
            Assert.Equal(0, driver.Outstanding);
        }

        Assert.InRange(_machine.Processors.Interrupts(0) - interrupts, 100, 320);
        Assert.InRange(driver.Channels[0].SignalCount - signals, 100, 320);
    }

    [Fact]
    public void Statistics_are_there_while_the_guest_runs_and_after_its_channels_have_closed()
    {
        var driver = _machine.Start();
        var disk = new MiniSd(driver);
        disk.Probe();
        disk.WriteBlocks(0, new byte[4096]);
        disk.ReadBlocks(0, 16);
        var running = _machine.Controller.Statistics;
        Assert.Equal(1, running.OpenChannels);
        var unit = Assert.Single(running.Units);
        Assert.Equal((1, 4096, 1, 8192), (unit.Disk.WriteCount, unit.Disk.BytesWritten, unit.Disk.ReadCount, unit.Disk.BytesRead));
        Assert.True(unit.Disk.MaxLatency >= unit.Disk.MeanLatency);
        using var data = new GuestData(_machine.Ram, 512);
        for (var i = 0; i < 32; i++)
        {
            driver.Submit(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        }

        _machine.Pump();
        driver.Poll();
        Assert.True(_machine.Controller.Statistics.Units[0].SignalsSaved >= 30);
        var before = _machine.Controller.Statistics;
        Assert.Equal(before.CompletionCount - before.SignalCount, before.Units[0].SignalsSaved);
        driver.Close();
        var after = _machine.Controller.Statistics;
        Assert.Equal(0, after.OpenChannels);
        Assert.Equal((before.CompletionCount, before.SignalCount, before.Units[0].SignalsSaved), (after.CompletionCount, after.SignalCount, after.Units[0].SignalsSaved));
    }

    [Fact]
    public void Answers_wait_for_room_and_none_is_lost()
    {
        // The ring to the guest holds 46 answers; the one from it, hundreds of requests.
        var offer = _machine.Boot();
        var driver = new GuestStorvsc(GuestChannel.Open(_machine.Guest, offer, outgoingPages: 16, incomingPages: 2));
        driver.Initialize();
        var tags = Enumerable.Range(0, 300).Select(_ => driver.Submit(new byte[6])).ToList();
        _machine.Pump();
        var ring = driver.Channels[0].Incoming;
        Assert.Equal(88u, ring.PendingSendSize);
        Assert.InRange(ring.BytesFree, 8, 88);
        Assert.All(tags, tag => Assert.True(driver.Wait(tag).IsGood));
        _machine.Pump();
        Assert.Equal(0u, ring.PendingSendSize);
        Assert.Empty(_machine.Complaints);
    }

    [Fact]
    public void A_guest_that_reads_no_answers_is_not_served_without_end()
    {
        _device.Holds = true;
        var offer = _machine.Boot();
        var driver = new GuestStorvsc(GuestChannel.Open(_machine.Guest, offer, outgoingPages: 64, incomingPages: 2));
        driver.Initialize();
        var packet = GuestStorvsc.BuildRequest(5, [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], SrbData.None, null);
        for (var i = 0; i < 600; i++)
        {
            Assert.True(driver.Channels[0].TrySend(packet));
        }

        _machine.Pump();
        Assert.Equal(StorvspChannel.MaxInFlight, _device.HeldCount);
        _device.Release();
        _machine.Pump();
        Assert.Equal(0, _device.HeldCount); // no more are taken while answers wait
        Assert.InRange(driver.Channels[0].Outgoing.BytesToRead, 300 * (packet.Length + 8), 400 * (packet.Length + 8));
    }

    [Fact]
    public void While_requests_are_under_way_the_guest_need_not_signal()
    {
        var driver = _machine.Start();
        _device.Holds = true;
        using var data = new GuestData(_machine.Ram, 512);
        for (var i = 0; i < 4; i++)
        {
            driver.Submit(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        }

        _machine.Pump();
        Assert.Equal(1u, driver.Channels[0].Outgoing.InterruptMask);
        var signals = driver.Channels[0].SignalCount;
        driver.Submit(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        Assert.Equal(signals, driver.Channels[0].SignalCount);
        _device.Release(1);
        _machine.Pump();
        Assert.Equal(4, _device.HeldCount); // it was found without a signal
    }

    [Fact]
    public void A_request_that_comes_between_the_hosts_last_look_and_its_sleep_is_found_without_a_signal()
    {
        var driver = _machine.Start();
        var ring = driver.Channels[0].Outgoing;
        uint? mask = null;
        _machine.Processors.OnInterrupt = () =>
        {
            _machine.Processors.OnInterrupt = null;
            mask = ring.InterruptMask; // the host has found the ring empty, and does not want signals yet
            driver.Submit(new byte[6]);
        };
        driver.Submit(new byte[6]);
        var signals = driver.Channels[0].SignalCount;
        _machine.Pump();
        driver.Poll();
        Assert.Equal(1u, mask);
        Assert.Equal(signals, driver.Channels[0].SignalCount);
        Assert.Equal(0, driver.Outstanding);
    }

    [Fact]
    public void Requests_that_hang_do_not_keep_the_host_from_hearing_the_guest()
    {
        var driver = _machine.Start();
        _device.Holds = true;
        using var data = new GuestData(_machine.Ram, 512);
        for (var i = 0; i < 8; i++)
        {
            driver.Submit(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        }

        _machine.Pump();
        var late = driver.Submit([0x12, 0, 0, 0, 36, 0], SrbData.Read, data); // no signal is due
        _machine.Pump();
        Assert.Equal(9, driver.Outstanding);
        _world.Advance(TimeSpan.FromMilliseconds(2));
        _machine.Pump();
        Assert.True(driver.Wait(late).IsGood);
        Assert.Equal(0u, driver.Channels[0].Outgoing.InterruptMask);
    }

    [Theory]
    [InlineData(7)] // transfer pages
    [InlineData(8)] // GPADL
    [InlineData(0)]
    [InlineData(99)]
    public void A_packet_of_another_type_costs_the_channel(ushort type) => LosesChannel(driver =>
    {
        var packet = GuestStorvsc.BuildRequest(5, new byte[6], SrbData.None, null);
        GuestStorvsc.WriteDescriptor(packet, type, 16, packet.Length, 5);
        driver.Channels[0].TrySend(packet);
    });

    [Fact]
    public void A_packet_too_short_for_the_protocol_costs_the_channel() => LosesChannel(driver =>
    {
        var packet = new byte[72];
        GuestStorvsc.WriteDescriptor(packet, 6, 16, packet.Length, 5);
        driver.Channels[0].TrySend(packet);
    });

    [Fact]
    public void Indices_that_cannot_be_cost_the_channel() => LosesChannel(driver =>
    {
        driver.Channels[0].Outgoing.In = 0xFFFF_FFF0;
        driver.Channels[0].Signal();
    });

    [Fact]
    public void Reading_what_was_not_written_costs_the_channel()
    {
        var offer = _machine.Boot();
        var driver = new GuestStorvsc(GuestChannel.Open(_machine.Guest, offer, outgoingPages: 16, incomingPages: 2));
        driver.Initialize();
        var packet = GuestStorvsc.BuildRequest(5, new byte[6], SrbData.None, null);
        for (var i = 0; i < 60; i++)
        {
            driver.Channels[0].TrySend(packet);
        }

        _machine.Pump();
        driver.Channels[0].Incoming.Out = 4;
        driver.Channels[0].Signal();
        _machine.Pump();
        Assert.Contains("lost", Assert.Single(_machine.Complaints));
        CloseAndReopen(driver, offer);
    }

    [Fact]
    public void A_completion_of_the_guest_is_ignored()
    {
        var driver = _machine.Start();
        var packet = new byte[16];
        GuestStorvsc.WriteDescriptor(packet, 11, 16, packet.Length, 0);
        driver.Channels[0].TrySend(packet);
        Assert.True(driver.Execute(new byte[6]).IsGood);
        Assert.Empty(_machine.Complaints);
    }

    [Fact]
    public void A_channel_that_was_lost_with_requests_under_way_closes_when_they_have_ended()
    {
        var offer = _machine.Boot();
        var driver = GuestStorvsc.Start(_machine.Guest, offer);
        _device.Holds = true;
        using var data = new GuestData(_machine.Ram, 512);
        driver.Submit(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        _machine.Pump();
        driver.Channels[0].Outgoing.In = 3;
        driver.Channels[0].Signal();
        _machine.Pump();
        var answers = driver.Channels[0].Incoming.In;
        _machine.Guest.Close(offer.Relid);
        _machine.Guest.PostTearDown(offer.Relid, driver.Channels[0].Gpadl);
        _machine.Pump();
        Assert.Null(_machine.Guest.TryTake(12));
        _device.Release();
        _machine.Guest.WaitFor(12);
        Assert.Equal(answers, driver.Channels[0].Incoming.In); // nothing is written any more
    }

    [Fact]
    public void Many_signals_without_a_packet_do_nothing()
    {
        var driver = _machine.Start();
        for (var i = 0; i < 1000; i++)
        {
            Assert.Equal(0u, driver.Channels[0].Signal());
        }

        Assert.InRange(_world.Pending, 0, 2);
        _machine.Pump();
        Assert.True(driver.Execute(new byte[6]).IsGood);
    }

    public async ValueTask DisposeAsync()
    {
        _device.Holds = false;
        _device.Release();
        await _machine.DisposeAsync();
        await _device.DisposeAsync();
    }

    private void LosesChannel(Action<GuestStorvsc> offend)
    {
        var offer = _machine.Boot();
        var driver = GuestStorvsc.Start(_machine.Guest, offer);
        offend(driver);
        _machine.Pump();
        Assert.Contains("lost", Assert.Single(_machine.Complaints));
        driver.Channels[0].Outgoing.In = driver.Channels[0].Outgoing.Out; // repentance comes too late
        driver.Channels[0].TrySend(GuestStorvsc.BuildRequest(6, new byte[6], SrbData.None, null));
        driver.Channels[0].Signal();
        _machine.Pump();
        Assert.Equal(0, driver.Channels[0].Incoming.BytesToRead);
        CloseAndReopen(driver, offer);
    }

    private void CloseAndReopen(GuestStorvsc driver, ChannelOffer offer)
    {
        driver.Close();
        new MiniSd(GuestStorvsc.Start(_machine.Guest, offer)).Probe();
    }
}
