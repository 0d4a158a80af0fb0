using VhdService.Scsi;
using VhdService.Storvsp.Wire;
using VhdService.Vmbus;
using VhdService.Vmbus.Wire;

namespace VhdService.Storvsp;

/// <summary>The way back: answers go into the ring to the guest, wait where it is full, and are shown to the guest in batches. Used on the channel's worker, but for what says otherwise.</summary>
internal sealed class AnswerQueue(OpenChannel channel, StorvspSession session, Action<StorvspRequest> free)
{
    private const int BatchCount = 32; // answers
    private const long BatchBytes = 256 << 10;
    private const int PacketSize = PacketDescriptor.Size + VstorPacket.Size; // Linux has room for no more

    private readonly byte[] _packet = new byte[PacketSize];
    private readonly long[] _signalsSaved = new long[ScsiTarget.MaxUnits];
    private StorvspRequest? _firstUnsent;
    private StorvspRequest? _lastUnsent;
    private volatile bool _hasAnnouncement;
    private bool _announcementWaits;
    private int _batchCount;
    private long _batchBytes;
    private int _batchLun = -1;
    private long _completionCount;

    /// <summary>Packets answered. Any thread.</summary>
    public long CompletionCount => Volatile.Read(ref _completionCount);

    /// <summary>The guest broke the ring's rules; nothing more is written.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Answers wait for room.</summary>
    public bool HasUnsent => _firstUnsent is not null;

    /// <summary>Something waits for room, and the guest has been asked to signal when there is.</summary>
    public bool WaitsForRoom => HasUnsent || _announcementWaits;

    /// <summary>Answers for a unit that needed no interrupt of their own. Any thread.</summary>
    public long SignalsSaved(int lun) => Volatile.Read(ref _signalsSaved[lun]);

    /// <summary>Asks the guest to look for units again, with the next <see cref="SendWaiting"/>. Any thread.</summary>
    public void AnnounceUnits() => _hasAnnouncement = true;

    /// <summary>Sends an answer, or lets it wait behind others; its request is freed when it is in the ring.</summary>
    /// <param name="request">The request, whose packet is the answer.</param>
    /// <param name="byteCount">Bytes that it moved: large ones are shown to the guest sooner.</param>
    public void Send(StorvspRequest request, long byteCount = 0)
    {
        _batchBytes += byteCount;
        if (_firstUnsent is null && TrySend(request))
        {
            return;
        }

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

    /// <summary>Sends what waits, as far as there is room.</summary>
    /// <returns>Whether anything was sent that the guest does not know of.</returns>
    public bool SendWaiting()
    {
        while (_firstUnsent is { } request)
        {
            var next = request.Next;
            if (!TrySend(request))
            {
                break;
            }

            _firstUnsent = next;
        }

        if (_firstUnsent is null && _hasAnnouncement && !IsBroken)
        {
            Announce();
        }

        return channel.Outgoing.HasUnpublished;
    }

    /// <summary>Frees the requests whose answers nobody wants any more.</summary>
    public void Drop()
    {
        while (_firstUnsent is { } request)
        {
            _firstUnsent = request.Next;
            free(request);
        }
    }

    /// <summary>Shows the guest what was read and written, and signals it if it has to be.</summary>
    public void Publish()
    {
        if (IsBroken)
        {
            return;
        }

        var hasRoom = channel.Incoming.Publish();
        var hasAnswers = channel.Outgoing.Publish();
        if (hasRoom || hasAnswers)
        {
            channel.Signal();
            if (hasAnswers && _batchLun >= 0)
            {
                Volatile.Write(ref _signalsSaved[_batchLun], _signalsSaved[_batchLun] - 1);
            }
        }

        _batchCount = 0;
        _batchBytes = 0;
        _batchLun = -1;
    }

    private bool TrySend(StorvspRequest request)
    {
        if (request.WantsCompletion && !IsBroken)
        {
            new PacketDescriptor(PacketType.Completion, PacketDescriptor.Size, PacketSize, WantsCompletion: false, request.TransactionId).Write(_packet);
            request.CopyPacketTo(_packet.AsSpan(PacketDescriptor.Size));
            switch (channel.Outgoing.TryWrite(_packet))
            {
                case RingWrite.Full:
                    return false;

                case RingWrite.Broken:
                    IsBroken = true;
                    break;

                default:
                    Count(request.Packet.Lun);
                    break;
            }
        }

        free(request);
        if (_batchCount >= BatchCount || _batchBytes >= BatchBytes)
        {
            Publish();
        }

        return true;
    }

    private void Announce()
    {
        _hasAnnouncement = false;
        _announcementWaits = false;
        if (!session.IsReady)
        {
            return; // the guest looks for itself when it is ready
        }

        _packet.AsSpan().Clear();
        new PacketDescriptor(PacketType.DataInBand, PacketDescriptor.Size, PacketSize, WantsCompletion: false, TransactionId: 0).Write(_packet);
        new VstorPacket(_packet.AsSpan(PacketDescriptor.Size)).SetOperation(VstorOperation.EnumerateBus);
        switch (channel.Outgoing.TryWrite(_packet))
        {
            case RingWrite.Full:
                _announcementWaits = true;
                _hasAnnouncement = true;
                break;

            case RingWrite.Broken:
                IsBroken = true;
                break;
        }
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
}
