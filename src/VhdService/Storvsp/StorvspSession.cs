using VhdService.Storvsp.Wire;

namespace VhdService.Storvsp;

/// <summary>How far a guest has come with making a controller ready. Changed on the first channel's worker, read on all.</summary>
internal sealed class StorvspSession(int maxSubChannels, int maxTransferBytes)
{
    private enum Stage
    {
        New,
        Begun,
        HasVersion,
        HasProperties,
        Ready,
    }

    private volatile Stage _stage;
    private int _subChannels;

    /// <summary>Requests may come.</summary>
    public bool IsReady => _stage == Stage.Ready;

    /// <summary>From the beginning: the guest has opened the first channel.</summary>
    public void Restart()
    {
        _subChannels = 0;
        _stage = Stage.New;
    }

    /// <summary>Handles a packet that is none of the requests, and makes it its answer.</summary>
    /// <returns>How many sub-channels to offer once the answer is out.</returns>
    public int Handle(VstorPacket packet)
    {
        switch (packet.Operation)
        {
            case VstorOperation.BeginInitialization:
                Restart();
                _stage = Stage.Begun;
                packet.Answer(VstorStatus.Success);
                return 0;

            case VstorOperation.QueryProtocolVersion when _stage is Stage.Begun or Stage.HasVersion:
                var isKnown = packet.ProtocolVersion is 0x0501 or 0x0600 or 0x0602; // of Windows 8, 8.1 and 10; older ones have shorter requests
                _stage = isKnown ? Stage.HasVersion : _stage;
                packet.Answer(isKnown ? VstorStatus.Success : VstorStatus.RevisionMismatch);
                return 0;

            case VstorOperation.QueryProperties when _stage is Stage.HasVersion or Stage.HasProperties:
                _stage = Stage.HasProperties;
                packet.AnswerProperties(maxSubChannels, maxTransferBytes);
                return 0;

            case VstorOperation.EndInitialization when _stage == Stage.HasProperties:
                _stage = Stage.Ready;
                packet.Answer(VstorStatus.Success);
                return 0;

            case VstorOperation.CreateSubChannels when _stage is Stage.HasProperties or Stage.Ready: // Windows asks before the end, Linux after it
                return CreateSubChannels(packet);

            case VstorOperation.QueryProtocolVersion or VstorOperation.QueryProperties or VstorOperation.EndInitialization or VstorOperation.CreateSubChannels:
                packet.Answer(VstorStatus.InvalidDeviceState);
                return 0;

            default:
                packet.Answer(VstorStatus.InvalidDeviceRequest);
                return 0;
        }
    }

    private int CreateSubChannels(VstorPacket packet)
    {
        int count = packet.SubChannelCount;
        if (count > maxSubChannels - _subChannels)
        {
            packet.Answer(VstorStatus.InvalidParameter);
            return 0;
        }

        _subChannels += count;
        packet.Answer(VstorStatus.Success);
        return count;
    }
}
