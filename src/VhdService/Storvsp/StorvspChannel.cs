using VhdService.Scsi;
using VhdService.Storvsp.Wire;
using VhdService.Vmbus;
using VhdService.Vmbus.Wire;

namespace VhdService.Storvsp;

/// <summary>Serves one channel of a controller: takes packets off the ring, has their commands executed, and answers.</summary>
/// <remarks>
/// A packet is taken only while there is a place for its request, and a place is free again only when its answer is in the ring. So what is under way and what
/// waits for room are bounded together. Answers are shown to the guest in batches. While requests are under way the guest is asked not to signal: each
/// end of one makes this look at the ring again.
/// </remarks>
internal sealed class StorvspChannel : ChannelWorker
{
    /// <summary>Requests under way on one channel.</summary>
    public const int MaxInFlight = 256;

    private const int PollDepth = 4; // requests under way from which the ring is polled
    private const int PacketsPerRun = 1024;
    private static readonly TimeSpan PollLimit = TimeSpan.FromMilliseconds(2);
    private const int BatchCount = 32; // answers
    private const long BatchBytes = 256 << 10;
    private const int CompletionSize = PacketDescriptor.Size + VstorPacket.Size; // Linux has room for no more

    private readonly StorvspController _controller;
    private readonly OpenChannel _channel;
    private readonly StorvspSession _session;
    private readonly ScsiTarget _target;
    private readonly ITimer _pollTimer;
    private readonly byte[] _completion = new byte[CompletionSize];
    private readonly long[] _signalsSaved = new long[ScsiTarget.MaxUnits];
    private StorvspRequest? _free;
    private int _created;
    private int _inFlight;
    private StorvspRequest? _executed; // a stack that any thread pushes to and the worker takes whole
    private StorvspRequest? _firstUnsent; // a queue of answers that wait for room
    private StorvspRequest? _lastUnsent;
    private StorvspRequest? _reset; // waits until nothing is under way
    private volatile bool _hasAnnouncement;
    private bool _announcementWaits; // for room in the ring
    private volatile bool _pollTimerIsArmed;
    private volatile bool _pollHasExpired; // no command has ended for a while
    private bool _isBroken;
    private int _batchCount;
    private long _batchBytes;
    private int _batchLun = -1;
    private long _completionCount;

    public StorvspChannel(StorvspController controller, OpenChannel channel, IWorkScheduler scheduler)
        : base(scheduler)
    {
        _controller = controller;
        _channel = channel;
        _session = controller.Session;
        _target = controller.Target;
        _pollTimer = channel.TimeProvider.CreateTimer(static worker => ((StorvspChannel)worker!).OnPollTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Packets answered.</summary>
    public long CompletionCount => Volatile.Read(ref _completionCount);

    /// <summary>Interrupts.</summary>
    public long SignalCount => _channel.SignalCount;

    /// <summary>Answers for a unit that needed no interrupt of their own.</summary>
    public long SignalsSaved(int lun) => Volatile.Read(ref _signalsSaved[lun]);

    /// <summary>Asks the guest to look for units again. Any thread.</summary>
    public void AnnounceUnits()
    {
        _hasAnnouncement = true;
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
        if (!_isBroken && !IsStopping)
        {
            incoming.Mask();
        }

        for (var packets = 0; packets < PacketsPerRun; packets++)
        {
            TakeExecuted();
            if (_isBroken || IsStopping)
            {
                return StopIfIdle();
            }

            SendUnsent();
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
            Publish();
            if (Volatile.Read(ref _executed) is not null)
            {
                continue;
            }

            if (_firstUnsent is not null || _announcementWaits)
            {
                // The guest has been asked to signal when there is room, whatever the mask says.
                SendUnsent();
                if (_channel.Outgoing.HasUnpublished)
                {
                    continue;
                }

                return false;
            }

            // From here on it is the end of a command that wakes this, or a signal.
            if (!CanRead || (_inFlight >= PollDepth && !_pollHasExpired))
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

        Publish();
        return true;
    }

    protected override void OnFault(Exception exception)
    {
        // A mistake in this program. Nothing more is taken; what is under way is still waited for.
        _controller.CountFault();
        Break($"of a mistake of this host: {exception.GetType().Name}: {exception.Message}");
        Wake();
    }

    /// <summary>A place is free, and nothing that must be done first waits.</summary>
    private bool CanRead => _firstUnsent is null && _reset is null && (_free is not null || _created < MaxInFlight);

    private bool StopIfIdle()
    {
        while (_firstUnsent is { } request)
        {
            _firstUnsent = request.Next;
            Free(request);
        }

        if (_reset is { } reset)
        {
            _reset = null;
            Free(reset);
        }

        if (_inFlight == 0 && IsStopping)
        {
            _controller.OnStopped(this);
            while (_free is { } request)
            {
                _free = request.Next;
                request.Dispose();
            }

            _created = MaxInFlight; // no more are made
            _pollTimer.Dispose();
            SetStopped();
        }

        return false;
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
            return; // nothing that is sent unasked wants one, but some guests do it
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
        var vstor = request.Packet;
        switch (vstor.Operation)
        {
            case VstorOperation.ExecuteSrb:
                Execute(request, packet, descriptor);
                break;

            case VstorOperation.ResetLun or VstorOperation.ResetAdapter or VstorOperation.ResetBus:
                _reset = request;
                FinishReset();
                break;

            default:
                var subChannels = 0;
                if (_channel.SubChannelIndex == 0)
                {
                    subChannels = _session.Handle(vstor);
                }
                else
                {
                    vstor.Answer(VstorStatus.InvalidDeviceRequest);
                }

                Send(request);
                if (subChannels > 0)
                {
                    Publish(); // the answer comes before the offers
                    _channel.OfferSubChannels(subChannels);
                }

                break;
        }
    }

    private void Execute(StorvspRequest request, ReadOnlySpan<byte> packet, in PacketDescriptor descriptor)
    {
        var vstor = request.Packet;
        if (!_session.IsReady)
        {
            vstor.AnswerRefusal(SrbStatus.Error, VstorStatus.InvalidDeviceState);
            Send(request);
            return;
        }

        request.Segments.Clear();
        var isWhole = descriptor.Type == PacketType.DataInBand
            || request.Segments.TrySet(new GpaDirectView(packet, descriptor.DataOffset), _channel.Memory);
        if (!isWhole || !vstor.HasCdb)
        {
            _channel.Log.Write($"A request on {_channel} names memory that is not the guest's, or a command of {vstor.CdbLength} bytes.");
            vstor.AnswerRefusal(SrbStatus.InvalidRequest, VstorStatus.InvalidParameter);
            Send(request);
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
        request.Packet.AnswerResult(result);
        _batchBytes += result.Transferred;
        Send(request);
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
        if (_reset is { } request && _inFlight == 0)
        {
            _reset = null;
            request.Packet.Answer(VstorStatus.Success);
            Send(request);
        }
    }

    private void Send(StorvspRequest request)
    {
        if (_isBroken || IsStopping)
        {
            Free(request);
            return;
        }

        if (_firstUnsent is not null || !TrySend(request))
        {
            request.Next = null;
            if (_firstUnsent is null)
            {
                _firstUnsent = request;
            }
            else
            {
                _lastUnsent!.Next = request;
            }

            _lastUnsent = request;
        }
    }

    private void SendUnsent()
    {
        while (_firstUnsent is { } request)
        {
            var next = request.Next;
            if (!TrySend(request))
            {
                return;
            }

            _firstUnsent = next;
        }

        if (_hasAnnouncement && !_isBroken)
        {
            Announce();
        }
    }

    /// <summary>Puts an answer into the ring, and the request back among the free.</summary>
    private bool TrySend(StorvspRequest request)
    {
        if (request.WantsCompletion)
        {
            new PacketDescriptor(PacketType.Completion, PacketDescriptor.Size, CompletionSize, WantsCompletion: false, request.TransactionId).Write(_completion);
            request.CopyPacketTo(_completion.AsSpan(PacketDescriptor.Size));
            switch (_channel.Outgoing.TryWrite(_completion))
            {
                case RingWrite.Full:
                    return false;

                case RingWrite.Broken:
                    Break("it moved the read index of its ring where nothing was written");
                    break;

                default:
                    Count(request.Packet.Lun);
                    break;
            }
        }

        Free(request);
        if (_batchCount >= BatchCount || _batchBytes >= BatchBytes)
        {
            Publish();
        }

        return true;
    }

    private void Announce()
    {
        _hasAnnouncement = false;
        if (!_session.IsReady)
        {
            return; // the guest looks for itself when it is ready
        }

        _completion.AsSpan().Clear();
        new PacketDescriptor(PacketType.DataInBand, PacketDescriptor.Size, CompletionSize, WantsCompletion: false, TransactionId: 0).Write(_completion);
        new VstorPacket(_completion.AsSpan(PacketDescriptor.Size)).SetOperation(VstorOperation.EnumerateBus);
        _announcementWaits = _channel.Outgoing.TryWrite(_completion) == RingWrite.Full;
        _hasAnnouncement |= _announcementWaits;
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

    private void Count(byte lun)
    {
        Volatile.Write(ref _completionCount, _completionCount + 1);
        _batchCount++;
        if (lun < ScsiTarget.MaxUnits)
        {
            Volatile.Write(ref _signalsSaved[lun], _signalsSaved[lun] + 1);
            _batchLun = lun;
        }
    }

    /// <summary>Shows the guest what was read and written, and signals it if it has to be.</summary>
    private void Publish()
    {
        if (_isBroken)
        {
            return;
        }

        var hasRoom = _channel.Incoming.Publish();
        var hasAnswers = _channel.Outgoing.Publish();
        if (hasRoom || hasAnswers)
        {
            _channel.Signal();
            if (hasAnswers && _batchLun >= 0)
            {
                Volatile.Write(ref _signalsSaved[_batchLun], _signalsSaved[_batchLun] - 1);
            }
        }

        _batchCount = 0;
        _batchBytes = 0;
        _batchLun = -1;
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
