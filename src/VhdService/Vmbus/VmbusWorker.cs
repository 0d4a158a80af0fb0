using System.Collections.Concurrent;
using VhdService.HyperV;
using VhdService.Vmbus.Wire;

namespace VhdService.Vmbus;

/// <summary>The bus's worker: takes control messages in order, keeps the channels, and sends answers as the guest has room for them.</summary>
/// <remarks>
/// A guest's message is taken only when all earlier answers are out, so what waits here is bounded by what one message can cause: the offers, at most.
/// Starting over (a new contact, unloading) waits until every channel has stopped, and later messages wait with it.
/// </remarks>
internal sealed class VmbusWorker : Worker
{
    private const int MessagesPerRun = 64;

    private readonly VmbusServer _bus;
    private readonly GuestLog _log;
    private readonly VmbusServerSettings _settings;
    private readonly GuestMessageQueue _incoming;
    private readonly ConcurrentQueue<Action<VmbusWorker>> _commands = new();
    private readonly Queue<byte[]> _outgoing = new();
    private readonly ChannelTable _channels = new();
    private readonly GpadlTable _gpadls;
    private readonly ChannelControl _control;
    private readonly List<IVmbusDevice> _devices = [];
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Action? _whenAllStopped; // starting over: what to do once every channel has stopped
    private VmbusVersion? _version;
    private bool _hasOffered;
    private int _targetProcessor;
    private volatile string? _versionText;
    private int _faultCount;

    public VmbusWorker(VmbusServer bus, HypervPartition partition, VmbusServerSettings settings, GuestMessageQueue incoming)
        : base(settings.Scheduler)
    {
        _bus = bus;
        _log = partition.Log;
        _settings = settings;
        _incoming = incoming;
        _gpadls = new GpadlTable(partition.Memory, partition.Log);
        _control = new ChannelControl(bus, _channels, _gpadls, Send, Post);
    }

    public string? Version => _versionText;

    public int FaultCount => Volatile.Read(ref _faultCount);

    /// <summary>The worker of an open channel. Any thread.</summary>
    public ChannelWorker? FindWorker(uint relid) => _channels.Find(relid)?.Worker;

    /// <summary>Has something done on this worker. Any thread.</summary>
    public void Post(Action<VmbusWorker> command)
    {
        _commands.Enqueue(command);
        Wake();
    }

    /// <summary>Stops every channel for good.</summary>
    public Task CloseAsync()
    {
        Post(static worker => worker.StartOver(() => worker._closed.TrySetResult()));
        return _closed.Task;
    }

    public void AddDevice(IVmbusDevice device)
    {
        _devices.Add(device);
        if (_channels.Add(device, subChannelIndex: 0) is { } channel && _hasOffered)
        {
            Offer(channel);
        }
    }

    public void RemoveDevice(IVmbusDevice device, TaskCompletionSource removed)
    {
        _devices.Remove(device);
        _control.Rescind(_channels.Of(device));
        _control.WhenStopped(device, removed);
    }

    public void OfferSubChannels(VmbusChannel primary, int count)
    {
        // The guest may have closed the channel, or started over, since it asked.
        if (primary.Worker is null || primary.IsStopping || !primary.IsUsable)
        {
            return;
        }

        var first = _channels.Of(primary.Device).Max(channel => channel.SubChannelIndex) + 1;
        for (var index = first; index < first + count; index++)
        {
            if (_channels.Add(primary.Device, index) is { } channel)
            {
                Offer(channel);
            }
        }
    }

    protected override bool Run()
    {
        for (var messages = 0; messages < MessagesPerRun; messages++)
        {
            while (_commands.TryDequeue(out var command))
            {
                command(this);
            }

            if (_whenAllStopped is { } finish)
            {
                if (_control.IsAnyAtWork)
                {
                    return false; // a channel's end wakes this again
                }

                _whenAllStopped = null;
                Forget();
                finish();
                continue;
            }

            if (!TryFlush() || !_incoming.TryTake(out var message))
            {
                return false;
            }

            Handle(((ReadOnlySpan<byte>)message.Payload)[..message.PayloadSize]);
        }

        return true;
    }

    protected override void OnFault(Exception exception)
    {
        Interlocked.Increment(ref _faultCount);
        _log.Write($"The bus failed on a message: {exception.GetType().Name}: {exception.Message}");
        Wake();
    }

    private void Handle(ReadOnlySpan<byte> message)
    {
        if (message.Length < GuestMessageView.Size)
        {
            _log.Write($"A message of {message.Length} bytes.");
            return;
        }

        var type = new GuestMessageView(message).Type;
        if (message.Length < MinimumSize(type))
        {
            _log.Write($"{type} of {message.Length} bytes is too short.");
            return;
        }

        switch (type)
        {
            case ChannelMessageType.InitiateContact:
                InitiateContact(message);
                return;

            case ChannelMessageType.Unload:
                StartOver(() => Send(HostMessages.UnloadResponse()));
                return;
        }

        if (_version is not { } version)
        {
            _log.Write($"{type} without a connection.");
            return;
        }

        switch (type)
        {
            case ChannelMessageType.RequestOffers:
                RequestOffers();
                break;

            case ChannelMessageType.TlConnectRequest:
                break; // no sockets here

            default:
                if (!_control.Handle(type, message, version))
                {
                    _log.Write($"A message of type {(uint)type}, which guests do not send.");
                }

                break;
        }
    }

    private static int MinimumSize(ChannelMessageType type) => type switch
    {
        ChannelMessageType.InitiateContact => InitiateContactView.Size,
        ChannelMessageType.OpenChannel => OpenChannelView.Size,
        ChannelMessageType.CloseChannel or ChannelMessageType.RelIdReleased => RelidView.Size,
        ChannelMessageType.GpadlHeader => GpadlHeaderView.Size,
        ChannelMessageType.GpadlBody => GpadlBodyView.Size,
        ChannelMessageType.GpadlTeardown => GpadlTeardownView.Size,
        ChannelMessageType.ModifyChannel => ModifyChannelView.Size,
        _ => GuestMessageView.Size,
    };

    private void InitiateContact(ReadOnlySpan<byte> message)
    {
        var contact = new InitiateContactView(message);
        var version = contact.Version;
        var isSupported = VmbusVersion.Supported.Contains(version) && version.Raw <= _settings.MaxVersion.Raw;
        if (isSupported && version.HasMessageConnection && (contact.Sint != VmbusServer.Sint || contact.Vtl != 0))
        {
            _log.Write($"The guest wants its messages on SINT {contact.Sint} at trust level {contact.Vtl}; they come on SINT {VmbusServer.Sint} at level 0.");
            isSupported = false;
        }

        if (contact.TargetProcessor >= (uint)_bus.ProcessorCount)
        {
            _log.Write($"The guest wants its messages on processor {contact.TargetProcessor}, and has {_bus.ProcessorCount}.");
            return; // there is nobody to answer
        }

        var target = (int)contact.TargetProcessor;
        StartOver(() =>
        {
            _targetProcessor = target;
            _version = isSupported ? version : null;
            _versionText = _version?.ToString();
            Send(HostMessages.VersionResponse(isSupported, isSupported ? VmbusServer.MessageConnectionFor(version) : 0));
        });
    }

    private void RequestOffers()
    {
        if (_hasOffered)
        {
            _log.Write("The guest asks for offers that it has.");
            return;
        }

        _hasOffered = true;
        foreach (var channel in _channels.All.ToArray())
        {
            Offer(channel);
        }

        Send(HostMessages.AllOffersDelivered());
    }

    private void Offer(VmbusChannel channel)
    {
        channel.IsOffered = true;
        Send(HostMessages.OfferChannel(
            channel.Device.InterfaceType,
            channel.Device.InstanceId,
            (ushort)channel.SubChannelIndex,
            channel.Relid,
            VmbusServer.EventConnectionBase + channel.Relid));
    }

    /// <summary>Stops every channel, then forgets all that the guest has said, then goes on.</summary>
    private void StartOver(Action then)
    {
        _control.StopAll();
        var earlier = _whenAllStopped; // only the host's own closing can come while starting over
        _whenAllStopped = earlier is null ? then : earlier + then;
        _version = null;
        _versionText = null;
    }

    private void Forget()
    {
        _hasOffered = false;
        _gpadls.Clear();
        _outgoing.Clear();
        _bus.ForgetMessages();
        _channels.Clear();
        foreach (var device in _devices)
        {
            _channels.Add(device, subChannelIndex: 0);
        }
    }

    private void Send(byte[] message)
    {
        if (_whenAllStopped is not null)
        {
            return; // whom this would answer has started over, and knows nothing of it
        }

        _outgoing.Enqueue(message);
        TryFlush();
    }

    private bool TryFlush()
    {
        while (_outgoing.TryPeek(out var message))
        {
            if (!_bus.TryPost(_targetProcessor, message))
            {
                return false;
            }

            _outgoing.Dequeue();
        }

        return true;
    }
}
