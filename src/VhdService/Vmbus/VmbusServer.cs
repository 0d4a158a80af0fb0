using VhdService.HyperV;
using VhdService.Vmbus.Wire;

namespace VhdService.Vmbus;

/// <summary>
/// The host's end of VMBus: it offers channels to a guest, and the guest opens them. A partition has one. Devices put themselves on it, before the guest
/// runs or while it does.
/// </summary>
/// <remarks>
/// Control messages are handled in order on one worker. A guest that breaks the protocol has its message ignored or answered with an error, or loses a channel.
/// </remarks>
public sealed class VmbusServer : IHypercallPorts, IAsyncDisposable
{
    /// <summary>The SINT of the bus: its messages' slot and its event flags.</summary>
    internal const int Sint = 2;

    /// <summary>The connection id of a channel's events is this and its relid.</summary>
    internal const uint EventConnectionBase = 0x2000;

    private const uint VmbusMessageType = 1;
    private const uint MessageConnection = 1; // before version 5.0
    private const uint MessageConnection5 = 4; // from 5.0 on, and for the first contact of those who know it

    private readonly HypervPartition _partition;
    private readonly VmbusWorker _worker;
    private readonly GuestMessageQueue _incoming = new();
    private int _isDisposed;

    /// <summary>Makes a bus for a partition.</summary>
    /// <param name="partition">The guest; it has no other bus.</param>
    /// <exception cref="InvalidOperationException">The partition has a bus already.</exception>
    public VmbusServer(HypervPartition partition)
        : this(partition, new VmbusServerSettings())
    {
    }

    internal VmbusServer(HypervPartition partition, VmbusServerSettings settings)
    {
        ArgumentNullException.ThrowIfNull(partition);
        _partition = partition;
        Scheduler = settings.Scheduler;
        _worker = new VmbusWorker(this, partition, settings, _incoming);
        partition.Connect(this);
    }

    /// <summary>The protocol version that the guest has agreed to, such as "5.3"; null while it is not connected.</summary>
    public string? GuestVersion => _worker.Version;

    internal IGuestMemory Memory => _partition.Memory;

    internal GuestLog Log => _partition.Log;

    internal TimeProvider TimeProvider => _partition.TimeProvider;

    internal int ProcessorCount => _partition.ProcessorCount;

    internal IWorkScheduler Scheduler { get; }

    /// <summary>Faults of this program that cost a channel; a test wants none.</summary>
    internal int FaultCount => _worker.FaultCount;

    /// <summary>Stops every channel and waits for what is under way. The guest, if it runs on, gets no more answers.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        _partition.Disconnect();
        await _worker.CloseAsync().ConfigureAwait(false);
    }

    HypercallStatus IHypercallPorts.PostMessage(uint connectionId, uint messageType, ReadOnlySpan<byte> payload)
    {
        if (connectionId is not (MessageConnection or MessageConnection5))
        {
            return HypercallStatus.InvalidConnectionId;
        }

        if (messageType != VmbusMessageType)
        {
            return HypercallStatus.InvalidParameter;
        }

        if (!_incoming.TryAdd(payload))
        {
            return HypercallStatus.InsufficientBuffers;
        }

        _worker.Wake();
        return HypercallStatus.Success;
    }

    HypercallStatus IHypercallPorts.SignalEvent(uint connectionId, ushort flagNumber)
    {
        var relid = connectionId - EventConnectionBase;
        if (relid >= VmbusLimits.Relids || _worker.FindWorker(relid) is not { } worker)
        {
            return HypercallStatus.InvalidConnectionId;
        }

        worker.Wake();
        return HypercallStatus.Success;
    }

    void IHypercallPorts.MessageQueueHasSpace() => _worker.Wake();

    /// <summary>Puts a device on the bus, and offers it to a guest that has asked for offers.</summary>
    internal void Add(IVmbusDevice device) => _worker.Post(worker => worker.AddDevice(device));

    /// <summary>Takes a device off the bus; completes when none of its channels is at work.</summary>
    internal Task RemoveAsync(IVmbusDevice device)
    {
        var removed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _worker.Post(worker => worker.RemoveDevice(device, removed));
        return removed.Task;
    }

    internal void OfferSubChannels(VmbusChannel primary, int count) => _worker.Post(worker => worker.OfferSubChannels(primary, count));

    internal void Signal(VmbusChannel channel) => _partition.SignalFlag(channel.TargetProcessor, Sint, (int)channel.Relid);

    /// <summary>A message to the guest.</summary>
    /// <returns>False when it has to wait; <see cref="IHypercallPorts.MessageQueueHasSpace"/> tells when to try again.</returns>
    internal bool TryPost(int processor, ReadOnlySpan<byte> message) => _partition.TryPostMessage(processor, Sint, VmbusMessageType, message);

    internal void ForgetMessages() => _partition.ClearMessages(Sint);

    internal static uint MessageConnectionFor(VmbusVersion version) => version.HasMessageConnection ? MessageConnection5 : 0;
}
