using VhdService.Storvsp;
using VhdService.Testing;

namespace VhdService.Tests.Vmbus;

public sealed class ChannelTests : IAsyncDisposable
{
    private const uint Ok = 0;
    private const uint Invalid = 0xC000000D;

    private readonly PumpedWorld _world = new(7);
    private readonly RamDevice _device = new(1 << 20);
    private readonly HostMachine _machine;
    private readonly ChannelOffer _offer;

    public ChannelTests()
    {
        _machine = new HostMachine(_world, processors: 2);
        _machine.Target.Attach(0, _device);
        _offer = _machine.Boot();
    }

    private GuestBus Guest => _machine.Guest;

    [Fact]
    public void The_offer_is_a_SCSI_controller_s()
    {
        Assert.Equal(new Guid("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"), _offer.InterfaceType);
        Assert.Equal(0, _offer.SubChannelIndex);
        Assert.Equal(0x2000 + _offer.Relid, _offer.ConnectionId);
        Assert.InRange(_offer.Relid, 1u, 2047u);
    }

    [Theory]
    [InlineData(8, 0u)]
    [InlineData(8, 1u)]
    [InlineData(8, 7u)]
    [InlineData(8, 8u)]
    [InlineData(8, 9u)]
    [InlineData(8, uint.MaxValue)]
    [InlineData(3, 2u)]
    public void Rings_below_two_pages_are_refused(int pageCount, uint downstreamPage)
    {
        var gpadl = Guest.CreateGpadl(_offer.Relid, _machine.Ram.Allocate(pageCount));
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, gpadl, downstreamPage));
        Guest.TearDownGpadl(_offer.Relid, gpadl);
        GuestChannel.Open(Guest, _offer).Close();
    }

    [Fact]
    public void Rings_of_two_pages_are_enough()
    {
        var channel = GuestChannel.Open(Guest, _offer, 2, 2);
        new GuestStorvsc(channel).Initialize();
        channel.Close();
    }

    [Fact]
    public void Rings_in_no_list_or_in_one_that_is_torn_down_are_refused()
    {
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, 0x4711, 4));
        var gpadl = Guest.CreateGpadl(_offer.Relid, _machine.Ram.Allocate(8));
        Guest.TearDownGpadl(_offer.Relid, gpadl);
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, gpadl, 4));
    }

    [Theory]
    [InlineData(0u, 4096u)]
    [InlineData(0u, 12287u)] // not whole pages
    [InlineData(512u, 12288u)]
    public void Rings_that_do_not_fill_their_pages_are_refused(uint byteOffset, uint byteCount)
    {
        var pages = _machine.Ram.Allocate((int)((byteOffset + byteCount + 4095) / 4096));
        var (gpadl, status) = Guest.TryCreateGpadl(_offer.Relid, GuestBus.Range(byteCount, byteOffset, pages), 1);
        Assert.Equal(Ok, status);
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, gpadl, 2));
    }

    [Theory]
    [InlineData(true, 0, 28_672u)]
    [InlineData(true, 4, 4u)]
    [InlineData(false, 0, uint.MaxValue)]
    [InlineData(false, 4, 12_288u)]
    public void Rings_with_indices_that_cannot_be_are_refused(bool isIncoming, int offset, uint index)
    {
        var pages = _machine.Ram.Allocate(8);
        var gpadl = Guest.CreateGpadl(_offer.Relid, pages);
        _machine.Ram.U32((pages[isIncoming ? 4 : 0] * 4096) + (uint)offset) = index;
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, gpadl, 4));
    }

    [Fact]
    public void A_processor_that_is_none_is_refused()
    {
        var gpadl = Guest.CreateGpadl(_offer.Relid, _machine.Ram.Allocate(8));
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, gpadl, 4, processor: 2));
        Assert.Equal(Ok, Guest.Open(_offer.Relid, gpadl, 4, processor: 1));
    }

    [Fact]
    public void A_channel_that_is_open_or_not_offered_cannot_be_opened()
    {
        var channel = GuestChannel.Open(Guest, _offer);
        var gpadl = Guest.CreateGpadl(_offer.Relid, _machine.Ram.Allocate(8));
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, gpadl, 4));
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, channel.Gpadl, 4));
        foreach (var relid in new uint[] { 0, _offer.Relid + 1, 2048, uint.MaxValue })
        {
            Assert.Equal(Invalid, Guest.Open(relid, gpadl, 4));
        }
    }

    [Fact]
    public void A_channel_can_be_closed_and_opened_a_thousand_times()
    {
        var free = _machine.Ram.FreePages;
        for (var life = 0; life < 1000; life++)
        {
            var driver = GuestStorvsc.Start(Guest, _offer, ringPages: 4 + (life % 5));
            if (life % 100 == 0)
            {
                new MiniSd(driver).Probe();
            }

            driver.Close();
        }

        Assert.Equal(free, _machine.Ram.FreePages);
        Assert.Empty(_machine.Complaints);
        Assert.Equal(0, _machine.Controller.Statistics.OpenChannels);
    }

    [Fact]
    public void A_channel_that_is_closed_takes_no_signals()
    {
        var channel = GuestChannel.Open(Guest, _offer);
        Assert.Equal(0u, channel.Signal());
        channel.Close();
        Assert.Equal(0x12u, channel.Signal());
        foreach (var connection in new uint[] { 0, 0x1FFF, 0x2000, 0x2000 + 2047, 0x2000 + 2048, uint.MaxValue })
        {
            Assert.Equal(0x12u, _machine.Processors.SignalEvent(connection));
        }
    }

    [Fact]
    public void Closing_twice_is_ignored()
    {
        var channel = GuestChannel.Open(Guest, _offer);
        channel.Close();
        Guest.Close(_offer.Relid);
        _machine.Pump();
        Assert.Single(_machine.Complaints);
        GuestChannel.Open(Guest, _offer);
    }

    [Fact]
    public void Pages_are_given_back_only_when_no_request_can_still_write_into_them()
    {
        var (driver, tag, data) = StartHeldRead();
        Guest.Close(_offer.Relid);
        Guest.PostTearDown(_offer.Relid, driver.Channels[0].Gpadl);
        _machine.Pump();
        _world.Advance(TimeSpan.FromSeconds(1));
        _machine.Pump();
        Assert.Null(Guest.TryTake(12));
        _device.Release();
        Guest.WaitFor(12);
        Assert.NotEqual(0ul, tag);
        Assert.All(data.ToArray(), value => Assert.Equal(0x77, value)); // it was waited for, not abandoned

        driver.Channels[0].FreePages();
        Reopen();
    }

    [Fact]
    public void Pages_of_an_open_channel_are_given_back_when_it_is_closed()
    {
        var channel = GuestChannel.Open(Guest, _offer);
        Guest.PostTearDown(_offer.Relid, channel.Gpadl);
        _machine.Pump();
        Assert.Null(Guest.TryTake(12));
        Guest.Close(_offer.Relid);
        Guest.WaitFor(12);
        Reopen();
    }

    [Fact]
    public void A_channel_that_is_opened_again_while_it_is_being_closed_opens_when_it_has_been()
    {
        StartHeldRead();
        Guest.Close(_offer.Relid);
        var gpadl = Guest.CreateGpadl(_offer.Relid, _machine.Ram.Allocate(8));
        Guest.PostOpen(_offer.Relid, gpadl, 4, 0);
        _machine.Pump();
        Assert.Null(Guest.TryTake(6));
        _device.Release();
        Assert.Equal(Ok, GuestBus.Get(Guest.WaitFor(6), 16));
    }

    [Fact]
    public void A_channel_closes_while_another_s_requests_hang()
    {
        using var hanging = new AsyncDisposer(new RamDevice(1 << 20) { Holds = true }, out var device);
        var target = new VhdService.Scsi.ScsiTarget();
        target.Attach(0, device);
        var other = new StorvspController(_machine.Bus, target);
        Guest.Until(() => Guest.Offers.Count == 2, "the second controller");
        var stuck = GuestStorvsc.Start(Guest, Guest.Offers[1]);
        using var data = new GuestData(_machine.Ram, 512);
        stuck.Submit(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        _machine.Pump();
        Guest.Close(Guest.Offers[1].Relid);

        Reopen();
        device.Release();
        Finish(other.DisposeAsync());
    }

    [Fact]
    public void Unloading_waits_for_what_is_under_way()
    {
        var (_, _, data) = StartHeldRead();
        Guest.Post(GuestBus.Message(16, 8));
        _machine.Pump();
        Assert.Null(Guest.TryTake(17));
        Assert.Equal(0x13u, FillInbox());
        _device.Release();
        Guest.WaitFor(17);
        Assert.All(data.ToArray(), value => Assert.Equal(0x77, value));
        Assert.Equal(0, _machine.Controller.Statistics.OpenChannels);
    }

    [Fact]
    public void A_new_contact_waits_for_what_is_under_way()
    {
        var (_, _, data) = StartHeldRead();
        var contact = GuestBus.Message(14, 40);
        GuestBus.Put(contact, 8, GuestBus.V5_3);
        contact[16] = 2;
        Guest.Post(contact);
        _machine.Pump();
        Assert.Null(Guest.TryTake(15));
        _device.Release();
        Guest.WaitFor(15);
        Assert.All(data.ToArray(), value => Assert.Equal(0x77, value));
    }

    [Fact]
    public void Interrupts_follow_the_channel_to_another_processor()
    {
        var driver = GuestStorvsc.Start(Guest, _offer);
        var before = _machine.Processors.Interrupts(1);
        Guest.ModifyChannel(_offer.Relid, 1);
        Assert.Equal(Ok, GuestBus.Get(Guest.WaitFor(24), 12));
        driver.Channels[0].Processor = 1;
        new MiniSd(driver).Probe();
        Assert.True(_machine.Processors.Interrupts(1) > before);
        Guest.ModifyChannel(_offer.Relid, 2);
        Assert.Equal(Invalid, GuestBus.Get(Guest.WaitFor(24), 12));
        Guest.ModifyChannel(77, 1);
        Assert.Equal(Invalid, GuestBus.Get(Guest.WaitFor(24), 12));
    }

    [Fact]
    public void Before_5_3_moving_interrupts_is_not_answered()
    {
        Guest.Connect(highest: GuestBus.V5_2);
        Guest.RequestOffers();
        GuestStorvsc.Start(Guest, Guest.Offers[0]);
        Guest.ModifyChannel(Guest.Offers[0].Relid, 1);
        _machine.Pump();
        Assert.Null(Guest.TryTake(24));
    }

    [Fact]
    public void A_controller_that_is_pulled_out_is_rescinded_and_its_relid_comes_back()
    {
        var driver = GuestStorvsc.Start(Guest, _offer);
        Finish(_machine.Controller.DisposeAsync());
        Guest.Until(() => Guest.Rescinded.Count == 1, "the rescind");
        Assert.Equal(_offer.Relid, Guest.Rescinded[0]);
        Assert.Equal(0x12u, driver.Channels[0].Signal());
        Assert.Equal(Invalid, Guest.Open(_offer.Relid, driver.Channels[0].Gpadl, 4));
        Guest.ReleaseRelid(_offer.Relid);
        _machine.Pump();
        Assert.Single(_machine.Complaints); // of the attempt to open it
        Guest.ReleaseRelid(_offer.Relid); // gone: complained about
        _machine.Pump();
        Assert.Equal(2, _machine.Complaints.Count);
    }

    [Fact]
    public void Pulling_out_waits_for_what_is_under_way()
    {
        var (_, _, data) = StartHeldRead();
        var pulling = _machine.Controller.DisposeAsync().AsTask();
        _machine.Pump();
        Guest.Poll();
        Assert.Single(Guest.Rescinded);
        Guest.ReleaseRelid(_offer.Relid);
        _machine.Pump();
        Assert.False(pulling.IsCompleted);
        _device.Release();
        Finish(new ValueTask(pulling));
        Assert.All(data.ToArray(), value => Assert.Equal(0x77, value));
    }

    [Fact]
    public void A_controller_that_is_plugged_in_is_offered_at_once()
    {
        var other = new StorvspController(_machine.Bus, new VhdService.Scsi.ScsiTarget(), new StorvspOptions { InstanceId = new Guid("00000000-0000-0000-0000-000000000002") });
        Guest.Until(() => Guest.Offers.Count == 2, "the second offer");
        Assert.Equal(new Guid("00000000-0000-0000-0000-000000000002"), Guest.Offers[1].InstanceId);
        Assert.NotEqual(_offer.Relid, Guest.Offers[1].Relid);
        GuestStorvsc.Start(Guest, Guest.Offers[1]).Close();
        Finish(other.DisposeAsync());
    }

    [Fact]
    public void Releasing_what_was_not_rescinded_is_ignored()
    {
        Guest.ReleaseRelid(_offer.Relid);
        _machine.Pump();
        Assert.Single(_machine.Complaints);
        GuestChannel.Open(Guest, _offer);
    }

    public async ValueTask DisposeAsync()
    {
        _device.Holds = false;
        _device.Release();
        await _machine.DisposeAsync();
        await _device.DisposeAsync();
    }

    private (GuestStorvsc Driver, ulong Tag, GuestData Data) StartHeldRead()
    {
        _device.Content.Fill(0x77);
        var driver = GuestStorvsc.Start(Guest, _offer);
        var data = new GuestData(_machine.Ram, 2048);
        _device.Holds = true;
        var tag = driver.Submit(MiniSd.TransferCdb(0x28, 0, 4), SrbData.Read, data);
        _machine.Pump();
        Assert.Equal(1, _device.HeldCount);
        return (driver, tag, data);
    }

    private ulong FillInbox()
    {
        for (var i = 0; i < 16; i++)
        {
            _machine.Processors.PostMessage(4, GuestBus.Message(3, 8));
        }

        return _machine.Processors.PostMessage(4, GuestBus.Message(3, 8));
    }

    private void Reopen()
    {
        _device.Holds = false;
        var driver = GuestStorvsc.Start(Guest, _offer);
        new MiniSd(driver).Probe();
        driver.Close();
    }

    private void Finish(ValueTask task)
    {
        var running = task.AsTask();
        Guest.Until(() => running.IsCompleted, "the end");
        running.GetAwaiter().GetResult();
    }

    private sealed class AsyncDisposer : IDisposable
    {
        private readonly RamDevice _device;

        public AsyncDisposer(RamDevice device, out RamDevice same) => same = _device = device;

        public void Dispose() => _device.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
