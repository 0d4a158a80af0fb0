namespace VhdService.Vmbus;

/// <summary>A device on the bus. Its first channel is offered as long as it is on the bus; it may ask for more (sub-channels) once that one is open.</summary>
internal interface IVmbusDevice
{
    /// <summary>What kind of device this is; the guest finds its driver by it.</summary>
    Guid InterfaceType { get; }

    /// <summary>Which one it is: unique on the bus, and the same as long as the machine lives.</summary>
    Guid InstanceId { get; }

    /// <summary>The guest has opened a channel. Called on the bus's worker; the channel is not woken before this returns.</summary>
    /// <param name="channel">The channel, a new one each time it is opened.</param>
    /// <returns>Who serves it from now on.</returns>
    ChannelWorker Open(OpenChannel channel);
}
