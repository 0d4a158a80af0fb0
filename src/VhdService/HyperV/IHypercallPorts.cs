namespace VhdService.HyperV;

/// <summary>What lies behind connection ids: the bus. Called on processor threads; must be quick and must not throw.</summary>
internal interface IHypercallPorts
{
    /// <summary>A message from the guest. It is copied before the call returns.</summary>
    HypercallStatus PostMessage(uint connectionId, uint messageType, ReadOnlySpan<byte> payload);

    /// <summary>An event from the guest: wake whoever waits for it.</summary>
    HypercallStatus SignalEvent(uint connectionId, ushort flagNumber);

    /// <summary>A message left the queue of a processor that had refused one.</summary>
    void MessageQueueHasSpace();
}
