namespace VhdService.Vmbus;

/// <summary>The channels there are, by relid. Changed by the bus's worker alone; a channel's worker is found on any thread.</summary>
internal sealed class ChannelTable
{
    private readonly VmbusChannel?[] _channels = new VmbusChannel?[VmbusLimits.Relids];
    private uint _next = 1;

    /// <summary>All of them, in the order of their relids.</summary>
    public IEnumerable<VmbusChannel> All => _channels.Where(channel => channel is not null)!;

    /// <summary>The channel with a relid, which may be any number; or null.</summary>
    public VmbusChannel? Find(uint relid) => relid < (uint)_channels.Length ? Volatile.Read(ref _channels[relid]) : null;

    /// <summary>The channels of a device, the first one first.</summary>
    public VmbusChannel[] Of(IVmbusDevice device) => [.. All.Where(channel => channel.Device == device).OrderBy(channel => channel.SubChannelIndex)];

    /// <summary>Makes a channel; null when every relid is taken. Relids come round, so that one that was just released is not the next.</summary>
    public VmbusChannel? Add(IVmbusDevice device, int subChannelIndex)
    {
        for (var tries = 1; tries < _channels.Length; tries++)
        {
            var relid = _next;
            _next = _next + 1 == (uint)_channels.Length ? 1 : _next + 1;
            if (_channels[relid] is null)
            {
                var channel = new VmbusChannel(device, relid, subChannelIndex);
                Volatile.Write(ref _channels[relid], channel);
                return channel;
            }
        }

        return null;
    }

    /// <summary>Forgets all channels and all relids: the guest has, too.</summary>
    public void Clear()
    {
        for (var relid = 0; relid < _channels.Length; relid++)
        {
            Volatile.Write(ref _channels[relid], null);
        }

        _next = 1;
    }

    public void Remove(VmbusChannel channel) => Volatile.Write(ref _channels[channel.Relid], null);
}
