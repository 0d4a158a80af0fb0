using VhdService.Vmbus.Wire;

namespace VhdService.Vmbus;

/// <summary>What a connected guest says about channels and their memory. Used on the bus's worker alone.</summary>
internal sealed class ChannelControl(VmbusServer bus, ChannelTable channels, GpadlTable gpadls, Action<byte[]> send, Action<Action<VmbusWorker>> post)
{
    private readonly List<(IVmbusDevice Device, TaskCompletionSource Removed)> _removals = [];

    /// <summary>A channel has a worker that has not stopped.</summary>
    public bool IsAnyAtWork => channels.All.Any(channel => channel.Worker is not null);

    /// <summary>Handles a message that is long enough for its type.</summary>
    /// <returns>False when it is none that a connected guest sends.</returns>
    public bool Handle(ChannelMessageType type, ReadOnlySpan<byte> message, VmbusVersion version)
    {
        switch (type)
        {
            case ChannelMessageType.OpenChannel:
                Open(message);
                return true;

            case ChannelMessageType.CloseChannel:
                Close(new RelidView(message).Relid);
                return true;

            case ChannelMessageType.GpadlHeader:
                BeginGpadl(new GpadlHeaderView(message));
                return true;

            case ChannelMessageType.GpadlBody:
                if (gpadls.Continue(new GpadlBodyView(message), out var gpadl) is { } status)
                {
                    send(HostMessages.GpadlCreated(gpadl!.Relid, gpadl.Id, status));
                }

                return true;

            case ChannelMessageType.GpadlTeardown:
                TearDown(new GpadlTeardownView(message).Gpadl);
                return true;

            case ChannelMessageType.RelIdReleased:
                Release(new RelidView(message).Relid);
                return true;

            case ChannelMessageType.ModifyChannel:
                Modify(new ModifyChannelView(message), version);
                return true;

            default:
                return false;
        }
    }

    /// <summary>Takes offers back.</summary>
    public void Rescind(IEnumerable<VmbusChannel> rescinded)
    {
        foreach (var channel in rescinded)
        {
            if (!channel.IsOffered)
            {
                channels.Remove(channel);
                continue;
            }

            if (!channel.IsRescinded)
            {
                channel.IsRescinded = true;
                channel.DeferredOpen = null;
                send(HostMessages.RescindChannelOffer(channel.Relid));
                Stop(channel);
            }
        }
    }

    /// <summary>Completes <paramref name="removed"/> when no channel of a device is at work.</summary>
    public void WhenStopped(IVmbusDevice device, TaskCompletionSource removed)
    {
        _removals.Add((device, removed));
        CompleteRemovals();
    }

    /// <summary>Tells every worker to stop.</summary>
    public void StopAll()
    {
        foreach (var channel in channels.All)
        {
            channel.DeferredOpen = null;
            Stop(channel);
        }
    }

    private void Open(ReadOnlySpan<byte> message)
    {
        var open = new OpenChannelView(message);
        if (channels.Find(open.Relid) is not { IsUsable: true } channel)
        {
            bus.Log.Write($"OpenChannel of {open.Relid}, which is not offered.");
            send(HostMessages.OpenChannelResult(open.Relid, open.OpenId, HostMessages.InvalidParameter));
            return;
        }

        if (channel.Worker is not null)
        {
            if (channel.IsStopping && channel.DeferredOpen is null)
            {
                channel.DeferredOpen = message.ToArray();
                return;
            }

            bus.Log.Write($"OpenChannel of {channel}, which is open.");
            send(HostMessages.OpenChannelResult(open.Relid, open.OpenId, HostMessages.InvalidParameter));
            return;
        }

        var isOpen = TryOpen(channel, open);
        send(HostMessages.OpenChannelResult(open.Relid, open.OpenId, isOpen ? HostMessages.Success : HostMessages.InvalidParameter));
        if (isOpen)
        {
            channel.Worker!.Wake(); // the ring may hold packets already, and nobody signals those
        }
    }

    private bool TryOpen(VmbusChannel channel, in OpenChannelView open)
    {
        var gpadl = gpadls.Find(open.RingGpadl);
        if (gpadl is not { IsTearingDown: false, IsInUse: false, Ranges: [{ ByteOffset: 0 } range] }
            || range.ByteCount != (long)range.Pages.Length * HyperV.GuestMemoryExtensions.PageSize
            || open.DownstreamPageOffset < RingPages.MinPages
            || open.DownstreamPageOffset > range.Pages.Length - RingPages.MinPages
            || open.TargetProcessor >= (uint)bus.ProcessorCount)
        {
            bus.Log.Write($"OpenChannel of {channel} names rings that cannot be: GPADL 0x{open.RingGpadl:X}, downstream page {open.DownstreamPageOffset}, processor {open.TargetProcessor}.");
            return false;
        }

        var incoming = new RingPages(range.Pages.AsSpan(0, (int)open.DownstreamPageOffset));
        var outgoing = new RingPages(range.Pages.AsSpan((int)open.DownstreamPageOffset));
        IncomingRing reader;
        OutgoingRing writer;
        try
        {
            reader = new IncomingRing(incoming);
            writer = new OutgoingRing(outgoing);
        }
        catch (ArgumentException exception)
        {
            bus.Log.Write($"OpenChannel of {channel} gives rings whose indices cannot be: {exception.Message}");
            return false;
        }

        gpadl.IsInUse = true;
        channel.RingGpadl = gpadl;
        channel.TargetProcessor = (int)open.TargetProcessor;
        channel.IsStopping = false;
        channel.Worker = channel.Device.Open(new OpenChannel(bus, channel, reader, writer));
        return true;
    }

    private void Close(uint relid)
    {
        if (channels.Find(relid) is not { Worker: not null } channel)
        {
            bus.Log.Write($"CloseChannel of {relid}, which is not open.");
            return;
        }

        channel.DeferredOpen = null;
        Stop(channel);
    }

    private void Stop(VmbusChannel channel)
    {
        if (channel.Worker is { } worker && !channel.IsStopping)
        {
            channel.IsStopping = true;
            worker.Stop(() => post(_ => OnStopped(channel)));
        }
    }

    private void OnStopped(VmbusChannel channel)
    {
        channel.Worker = null;
        channel.IsStopping = false;
        if (channel.RingGpadl is { } gpadl)
        {
            channel.RingGpadl = null;
            gpadl.IsInUse = false;
            if (gpadl.IsTearingDown)
            {
                FinishTeardown(gpadl);
            }
        }

        // The sub-channels of a device end with its first channel; the next life asks for its own.
        if (channel.SubChannelIndex == 0)
        {
            Rescind(channels.Of(channel.Device).Where(other => other.SubChannelIndex != 0));
        }

        if (channel.IsReleased)
        {
            Drop(channel);
        }

        CompleteRemovals();
        if (channel.DeferredOpen is { } message)
        {
            channel.DeferredOpen = null;
            Open(message);
        }
    }

    private void BeginGpadl(in GpadlHeaderView header)
    {
        if (channels.Find(header.Relid) is not { IsUsable: true })
        {
            bus.Log.Write($"GPADL 0x{header.Gpadl:X} for channel {header.Relid}, which is not offered.");
            send(HostMessages.GpadlCreated(header.Relid, header.Gpadl, HostMessages.InvalidParameter));
            return;
        }

        if (gpadls.Begin(header) is { } status)
        {
            send(HostMessages.GpadlCreated(header.Relid, header.Gpadl, status));
        }
    }

    private void TearDown(uint id)
    {
        if (gpadls.Find(id) is not { IsTearingDown: false } gpadl)
        {
            bus.Log.Write($"GpadlTeardown of 0x{id:X}, which is not there.");
            return;
        }

        gpadl.IsTearingDown = true;
        if (!gpadl.IsInUse)
        {
            FinishTeardown(gpadl);
        }
    }

    private void FinishTeardown(Gpadl gpadl)
    {
        gpadls.Remove(gpadl);
        send(HostMessages.GpadlTorndown(gpadl.Id));
    }

    private void Release(uint relid)
    {
        if (channels.Find(relid) is not { IsRescinded: true } channel)
        {
            bus.Log.Write($"RelIdReleased of {relid}, which was not taken back.");
            return;
        }

        if (channel.Worker is null)
        {
            Drop(channel);
        }
        else
        {
            channel.IsReleased = true;
        }
    }

    private void Drop(VmbusChannel channel)
    {
        gpadls.RemoveOf(channel.Relid);
        channels.Remove(channel);
    }

    private void Modify(in ModifyChannelView modify, VmbusVersion version)
    {
        var status = HostMessages.InvalidParameter;
        if (channels.Find(modify.Relid) is { IsUsable: true, Worker: not null } channel && modify.TargetProcessor < (uint)bus.ProcessorCount)
        {
            channel.TargetProcessor = (int)modify.TargetProcessor;
            status = HostMessages.Success;
        }

        if (version.AnswersModifyChannel)
        {
            send(HostMessages.ModifyChannelResponse(modify.Relid, status));
        }
    }

    private void CompleteRemovals() => _removals.RemoveAll(removal =>
        channels.Of(removal.Device).All(channel => channel.Worker is null) && removal.Removed.TrySetResult());
}
