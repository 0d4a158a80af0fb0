using System.Runtime.CompilerServices;
using VhdService.Scsi;
using VhdService.Storvsp.Wire;

namespace VhdService.Storvsp;

/// <summary>One place among the requests of a channel: the guest's packet, its memory, and the command. Kept and used again.</summary>
internal sealed class StorvspRequest : IDisposable
{
    private readonly StorvspChannel _channel;
    private readonly Action _onExecuted;
    private readonly byte[] _packet = new byte[VstorPacket.Size];
    private ConfiguredValueTaskAwaitable<ScsiResult>.ConfiguredValueTaskAwaiter _execution;

    public StorvspRequest(StorvspChannel channel, int maxTransferBytes)
    {
        _channel = channel;
        Segments = new GuestSegments(maxTransferBytes);
        _onExecuted = () => _channel.OnExecuted(this);
    }

    /// <summary>The next in a list of requests; whose list says its owner.</summary>
    public StorvspRequest? Next { get; set; }

    /// <summary>The guest's name for the packet.</summary>
    public ulong TransactionId { get; set; }

    /// <summary>The guest wants to know the outcome.</summary>
    public bool WantsCompletion { get; set; }

    /// <summary>The guest's packet, then its answer.</summary>
    public VstorPacket Packet => new(_packet);

    public GuestSegments Segments { get; }

    public ScsiRequest Command { get; } = new();

    /// <summary>Takes a private copy of a packet.</summary>
    public void SetPacket(ReadOnlySpan<byte> packet) => packet[..VstorPacket.Size].CopyTo(_packet);

    /// <summary>Copies the packet into a completion.</summary>
    public void CopyPacketTo(Span<byte> into) => _packet.CopyTo(into);

    /// <summary>Has <see cref="StorvspChannel.OnExecuted"/> called when the command has ended; its result is there then.</summary>
    public void AwaitLater(ValueTask<ScsiResult> execution)
    {
        _execution = execution.ConfigureAwait(false).GetAwaiter();
        _execution.UnsafeOnCompleted(_onExecuted);
    }

    /// <summary>The result of a command that ended later; once.</summary>
    public ScsiResult TakeResult()
    {
        var execution = _execution;
        _execution = default;
        try
        {
            return execution.GetResult();
        }
        catch (Exception)
        {
            // The target does not throw. If it did, the count of what is under way must not go wrong with it.
            return ScsiResult.Check(ScsiSense.InternalTargetFailure);
        }
    }

    public void Dispose()
    {
        Command.Dispose();
        Segments.Dispose();
    }
}
