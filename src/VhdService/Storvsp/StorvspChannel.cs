using VhdService.Scsi;
using VhdService.Storvsp.Wire;
using VhdService.Vmbus;
using VhdService.Vmbus.Wire;

namespace VhdService.Storvsp;

/// <summary>Serves one channel of a controller: takes packets off the ring, has their commands executed, and answers.</summary>
/// <remarks>
/// A packet is taken only while there is a place for its request, and a place is free again only when its answer is in the ring. So what is under way and what
/// waits for room are bounded together. While requests are under way the guest is asked not to signal: each end of one makes this look at the ring again.
/// </remarks>
internal sealed class StorvspChannel : ChannelWorker
{
    /// <summary>Requests under way on one channel.</summary>
    public const int MaxInFlight = 256;

    private const int PollDepth = 4; // requests under way from which the ring is polled
    private const int PacketsPerRun = 1024;
    private static readonly TimeSpan PollLimit = TimeSpan.FromMilliseconds(2);

    private readonly StorvspController _controller;
    private readonly OpenChannel _channel;
    private readonly StorvspSession _session;
    private readonly ScsiTarget _target;
    private readonly AnswerQueue _answers;
    private readonly ITimer _pollTimer;
    private StorvspRequest? _free;
    private int _created;
    private int _inFlight;
    private StorvspRequest? _executed; // a stack that any thread pushes to and the worker takes whole
    private StorvspRequest? _reset; // waits until nothing is under way
    private bool _isBroken;
    private volatile bool _pollTimerIsArmed;
    private volatile bool _pollHasExpired; // no command has ended for a while

    public StorvspChannel(StorvspController controller, OpenChannel channel, IWorkScheduler scheduler)
        : base(scheduler)
    {
        _controller = controller;
        _channel = channel;
        _session = controller.Session;
        _target = controller.Target;
        _answers = new AnswerQueue(channel, _session, Free);
        _pollTimer = channel.TimeProvider.CreateTimer(static worker => ((StorvspChannel)worker!).OnPollTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc cref="AnswerQueue.CompletionCount"/>
    public long CompletionCount => _answers.CompletionCount;

    /// <summary>Interrupts.</summary>
    public long SignalCount => _channel.SignalCount;

    /// <inheritdoc cref="AnswerQueue.SignalsSaved"/>
    public long SignalsSaved(int lun) => _answers.SignalsSaved(lun);

    /// <summary>Asks the guest to look for units again. Any thread.</summary>
    public void AnnounceUnits()
    {
        _answers.AnnounceUnits();
        Wake();
    }

    /// <summary>A command that was not done at once has ended. Any thread.</summary>
    public void OnExecuted(StorvspRequest request)
    {
        var first = Volatile.Read(ref _executed);
        while (true)
        {
            request.Next = first;
            var seen = Interlocked.CompareExchange(ref _executed, request, first);
            if (seen == first)
            {
                break;
            }

            first = seen;
        }

        Wake();
    }

    protected override bool Run()
    {
        var incoming = _channel.Incoming;
        if (!IsOver)
        {
            incoming.Mask();
        }

        for (var packets = 0; packets < PacketsPerRun; packets++)
        {
            TakeExecuted();
            if (IsOver)
            {
                StopIfIdle();
                return false;
            }

            _answers.SendWaiting();
            if (CanRead)
            {
                switch (incoming.TryRead(out var packet))
                {
                    case RingRead.Packet:
                        Handle(packet);
                        continue;

                    case RingRead.Broken:
                        Break("its ring's indices or a packet's length cannot be");
                        continue;
                }
            }

            // The ring is empty, or nothing can be taken from it now.
            _answers.Publish();
            if (Volatile.Read(ref _executed) is not null)
            {
                continue;
            }

            if (_answers.WaitsForRoom)
            {
                // The guest has been asked to signal when there is room, whatever the mask says.
                if (_answers.SendWaiting())
                {
                    continue;
                }

                return false;
            }

            // From here on it is the end of a command that wakes this, or a signal.
            if (!CanRead)
            {
                return false;
            }

            if (_inFlight >= PollDepth && !_pollHasExpired)
            {
                ArmPollTimer();
                return false;
            }

            incoming.Unmask();
            if (!incoming.HasMore)
            {
                return false;
            }

            incoming.Mask();
        }

        _answers.Publish();
        return true;
    }

    protected override void OnFault(Exception exception)
    {
        // A mistake in this program. Nothing more is taken; what is under way is still waited for.
        _controller.CountFault();
        Break($"of a mistake of this host: {exception.GetType().Name}: {exception.Message}");
        Wake();
    }

    private bool IsOver => _isBroken || _answers.IsBroken || IsStopping;

    /// <summary>A place is free, and nothing waits that must come first.</summary>
    private bool CanRead => !_answers.HasUnsent && _reset is null && (_free is not null || _created < MaxInFlight);

    private void StopIfIdle()
    {
        if (_answers.IsBroken)
        {
            Break("it moved the read index of its ring to where nothing was written");
        }

        _answers.Drop();
        if (_reset is { } reset)
        {
            _reset = null;
            Free(reset);
        }

        if (_inFlight > 0 || !IsStopping)
        {
            return;
        }

        _controller.OnStopped(this);
        while (_free is { } request)
        {
            _free = request.Next;
            request.Dispose();
        }

        _pollTimer.Dispose();
        SetStopped();
    }

    private void Break(string why)
    {
        if (!_isBroken)
        {
            _isBroken = true;
            _channel.Log.Write($"The guest has lost {_channel}, because {why}.");
        }
    }

    private void Handle(ReadOnlySpan<byte> packet)
    {
        var descriptor = PacketDescriptor.Read(packet);
        if (descriptor.Type == PacketType.Completion)
        {
            return; // nothing that is sent unasked wants one, but a guest may mean well
        }

        if (descriptor.Type is not (PacketType.DataInBand or PacketType.DataUsingGpaDirect) || packet.Length - descriptor.DataOffset < VstorPacket.Size)
        {
            Break($"a packet has type {(int)descriptor.Type} and {packet.Length - descriptor.DataOffset} bytes of data");
            return;
        }

        var request = Take();
        request.TransactionId = descriptor.TransactionId;
        request.WantsCompletion = descriptor.WantsCompletion;
        request.SetPacket(packet[descriptor.DataOffset..]);
        switch (request.Packet.Operation)
        {
            case VstorOperation.ExecuteSrb:
                Execute(request, packet, descriptor);
                break;

            case VstorOperation.ResetLun or VstorOperation.ResetAdapter or VstorOperation.ResetBus:
                _reset = request;
                FinishReset();
                break;

            default:
                Configure(request);
                break;
        }
    }

    private void Configure(StorvspRequest request)
    {
        var subChannels = 0;
        if (_channel.SubChannelIndex == 0)
        {
            subChannels = _session.Handle(request.Packet);
        }
        else
        {
            request.Packet.Answer(VstorStatus.InvalidDeviceRequest);
        }

        _answers.Send(request);
        if (subChannels > 0)
        {
            _answers.Publish(); // the answer comes before the offers
            _channel.OfferSubChannels(subChannels);
        }
    }

    private void Execute(StorvspRequest request, ReadOnlySpan<byte> packet, in PacketDescriptor descriptor)
    {
        var vstor = request.Packet;
        if (!_session.IsReady)
        {
            vstor.AnswerRefusal(SrbStatus.Error, VstorStatus.InvalidDeviceState);
            _answers.Send(request);
            return;
        }

        request.Segments.Clear();
        var isWhole = descriptor.Type == PacketType.DataInBand
            || request.Segments.TrySet(new GpaDirectView(packet, descriptor.DataOffset), _channel.Memory);
        if (!isWhole || !vstor.HasCdb)
        {
            _channel.Log.Write($"A request on {_channel} names memory that is not the guest's, or a command of {vstor.CdbLength} bytes.");
            vstor.AnswerRefusal(SrbStatus.InvalidRequest, VstorStatus.InvalidParameter);
            _answers.Send(request);
            return;
        }

        var data = request.Segments.Take(Math.Min(vstor.DataTransferLength, request.Segments.Length));
        request.Command.Set(vstor.Path, vstor.Target, vstor.Lun, vstor.Cdb, vstor.Direction, data);
        var execution = _target.ExecuteAsync(request.Command);
        if (execution.IsCompletedSuccessfully)
        {
            Finish(request, execution.Result);
        }
        else
        {
            _inFlight++;
            request.AwaitLater(execution);
        }
    }

    private void Finish(StorvspRequest request, in ScsiResult result)
    {
        if (IsOver)
        {
            Free(request);
            return;
        }

        request.Packet.AnswerResult(result);
        _answers.Send(request, result.Transferred);
    }

    private void TakeExecuted()
    {
        if (Volatile.Read(ref _executed) is null)
        {
            return;
        }

        _pollHasExpired = false;
        var request = Interlocked.Exchange(ref _executed, null);
        while (request is not null)
        {
            var next = request.Next;
            request.Next = null;
            _inFlight--;
            Finish(request, request.TakeResult());
            request = next;
        }

        FinishReset();
    }

    /// <summary>A reset is done when all that came before it is: Linux then takes what it waits for as ended.</summary>
    private void FinishReset()
    {
        if (_reset is { } request && _inFlight == 0 && !IsOver)
        {
            _reset = null;
            request.Packet.Answer(VstorStatus.Success);
            _answers.Send(request);
        }
    }

    /// <summary>Polling is for devices that answer soon. One that hangs must not keep the guest from being heard.</summary>
    private void ArmPollTimer()
    {
        if (!_pollTimerIsArmed)
        {
            _pollTimerIsArmed = true;
            _pollTimer.Change(PollLimit, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnPollTimer()
    {
        _pollTimerIsArmed = false;
        _pollHasExpired = true;
        Wake();
    }

    private StorvspRequest Take()
    {
        if (_free is not { } request)
        {
            _created++;
            return new StorvspRequest(this, _target.MaxTransferBytes);
        }

        _free = request.Next;
        request.Next = null;
        return request;
    }

    private void Free(StorvspRequest request)
    {
        request.Next = _free;
        _free = request;
    }
}
