using System.Buffers.Binary;

namespace VhdService.Testing;

/// <summary>Which way a request's data goes, in storvsc's numbers.</summary>
internal enum SrbData : byte
{
    Write = 0,
    Read = 1,
    None = 2,
}

/// <summary>The host's answer to a request.</summary>
internal sealed record SrbReply(uint VstorStatus, byte SrbStatus, byte ScsiStatus, byte[] Sense, uint Transferred)
{
    public bool IsGood => (VstorStatus, SrbStatus, ScsiStatus) == (0u, (byte)1, (byte)0);

    /// <summary>Key, code, qualifier; null without valid sense.</summary>
    public (int Key, int Code, int Qualifier)? SenseCode =>
        (SrbStatus & 0x80) != 0 && ScsiStatus == 2 && Sense.Length >= 14 ? (Sense[2] & 0xF, Sense[12], Sense[13]) : null;
}

/// <summary>Guest memory for a request's data: any pages, beginning anywhere in the first.</summary>
internal sealed class GuestData : IDisposable
{
    private readonly GuestRam _ram;

    public GuestData(GuestRam ram, int length, int offset = 0)
    {
        _ram = ram;
        Length = length;
        Offset = offset;
        Pages = ram.Allocate((length + offset + GuestRam.PageSize - 1) / GuestRam.PageSize);
    }

    public int Length { get; }

    public int Offset { get; }

    public ulong[] Pages { get; }

    public byte[] ToArray()
    {
        var content = new byte[Length];
        _ram.Read(Pages, Offset, content);
        return content;
    }

    public void Set(ReadOnlySpan<byte> content) => _ram.Write(Pages, Offset, content);

    public void Dispose() => _ram.Free(Pages);
}

/// <summary>The guest's storage driver on one controller: makes it ready, sends requests on its channels, and matches answers.</summary>
internal sealed class GuestStorvsc
{
    public const ulong InitTag = 0xFFFFFFFFFFFFFFFD;

    private readonly List<GuestChannel> _channels = [];
    private readonly Dictionary<ulong, SrbReply> _replies = [];
    private readonly HashSet<ulong> _outstanding = [];
    private byte[]? _initReply;
    private ulong _nextTag = 1;

    public GuestStorvsc(GuestChannel channel) => _channels.Add(channel);

    public GuestBus Bus => _channels[0].Bus;

    /// <summary>The first, then the sub-channels.</summary>
    public IReadOnlyList<GuestChannel> Channels => _channels;

    public ushort ProtocolVersion { get; private set; }

    public uint MaxTransferBytes { get; private set; }

    public int MaxSubChannels { get; private set; }

    /// <summary>ENUMERATE_BUS packets that came.</summary>
    public int Enumerations { get; private set; }

    public int Outstanding => _outstanding.Count;

    public static GuestStorvsc Start(GuestBus bus, ChannelOffer offer, int ringPages = GuestChannel.DefaultRingPages)
    {
        var driver = new GuestStorvsc(GuestChannel.Open(bus, offer, ringPages, ringPages));
        driver.Initialize();
        return driver;
    }

    /// <summary>The five steps, in Linux's order.</summary>
    public void Initialize(params ushort[] versions)
    {
        Expect(Configure(7), 0);
        foreach (var version in versions is [] ? [0x0602, 0x0600, 0x0501] : versions)
        {
            var reply = Configure(9, payload => BinaryPrimitives.WriteUInt16LittleEndian(payload, version));
            if (GuestBus.Get(reply, 8) == 0)
            {
                ProtocolVersion = version;
                break;
            }
        }

        if (ProtocolVersion == 0)
        {
            throw new InvalidOperationException("The host wants no protocol version.");
        }

        var properties = Configure(10);
        Expect(properties, 0);
        MaxSubChannels = BinaryPrimitives.ReadUInt16LittleEndian(properties.AsSpan(16));
        MaxTransferBytes = GuestBus.Get(properties, 24);
        Expect(Configure(8), 0);
    }

    /// <summary>Asks for sub-channels, and opens them, one for each processor behind the first.</summary>
    public void OpenSubChannels(int count, int ringPages = GuestChannel.DefaultRingPages)
    {
        var before = Bus.Offers.Count;
        Expect(Configure(13, payload => BinaryPrimitives.WriteUInt16LittleEndian(payload, (ushort)count)), 0);
        Bus.Until(() => Bus.Offers.Count == before + count, $"{count} sub-channels");
        foreach (var offer in Bus.Offers.Skip(before).ToArray())
        {
            _channels.Add(GuestChannel.Open(Bus, offer, ringPages, ringPages, offer.SubChannelIndex % Bus.Processors.Count));
        }
    }

    /// <summary>Sends a packet that is no request, and waits for its answer.</summary>
    /// <returns>The 64 bytes of the answer.</returns>
    public byte[] Configure(uint operation, Action<Span<byte>>? fill = null, int channel = 0)
    {
        var packet = new byte[80];
        WriteDescriptor(packet, 6, 16, packet.Length, InitTag);
        GuestBus.Put(packet, 16, operation);
        GuestBus.Put(packet, 20, 1);
        fill?.Invoke(packet.AsSpan(28));
        _initReply = null;
        SendNow(_channels[channel], packet);
        Bus.Until(() => PollAnd(() => _initReply is not null), $"the answer to operation {operation}");
        return _initReply!;
    }

    /// <summary>A request and its answer.</summary>
    public SrbReply Execute(ReadOnlySpan<byte> cdb, SrbData direction = SrbData.None, GuestData? data = null, int lun = 0, int path = 0, int target = 0, int channel = 0)
    {
        var tag = Submit(cdb, direction, data, lun, path, target, channel);
        return Wait(tag);
    }

    /// <summary>Sends a request; waits only for room in the ring.</summary>
    public ulong Submit(ReadOnlySpan<byte> cdb, SrbData direction = SrbData.None, GuestData? data = null, int lun = 0, int path = 0, int target = 0, int channel = 0)
    {
        var tag = _nextTag++;
        var packet = BuildRequest(tag, cdb, direction, data, lun, path, target);
        _outstanding.Add(tag);
        SendNow(_channels[channel], packet);
        return tag;
    }

    /// <summary>Sends a request that is changed on its way.</summary>
    public ulong Submit(ReadOnlySpan<byte> cdb, SrbData direction, GuestData? data, Func<byte[], byte[]> change)
    {
        var tag = _nextTag++;
        _outstanding.Add(tag);
        SendNow(_channels[0], change(BuildRequest(tag, cdb, direction, data)));
        return tag;
    }

    public SrbReply Wait(ulong tag)
    {
        Bus.Until(() => PollAnd(() => _replies.ContainsKey(tag)), $"the answer to request {tag}");
        _replies.Remove(tag, out var reply);
        return reply!;
    }

    /// <summary>Any answer that is there.</summary>
    public (ulong Tag, SrbReply Reply)? TryTake()
    {
        Poll();
        foreach (var (tag, reply) in _replies)
        {
            _replies.Remove(tag);
            return (tag, reply);
        }

        return null;
    }

    /// <summary>Reads every ring.</summary>
    public void Poll()
    {
        foreach (var channel in _channels)
        {
            while (channel.TryReceive() is { } packet)
            {
                Take(packet);
            }
        }
    }

    /// <summary>Sub-channels first, then the first, as Linux does.</summary>
    public void Close()
    {
        foreach (var channel in _channels.Skip(1))
        {
            channel.Close();
        }

        _channels[0].Close();
    }

    public static byte[] BuildRequest(ulong tag, ReadOnlySpan<byte> cdb, SrbData direction, GuestData? data, int lun = 0, int path = 0, int target = 0)
    {
        var ranges = data is null ? 0 : 8 + 8 + (8 * data.Pages.Length);
        var packet = new byte[16 + ranges + 64];
        WriteDescriptor(packet, data is null ? (ushort)6 : (ushort)9, 16 + ranges, packet.Length, tag);
        if (data is not null)
        {
            GuestBus.Put(packet, 20, 1);
            GuestBus.Range((uint)data.Length, (uint)data.Offset, data.Pages).CopyTo(packet.AsSpan(24));
        }

        var vstor = packet.AsSpan(16 + ranges);
        GuestBus.Put(vstor, 0, 3);
        GuestBus.Put(vstor, 4, 1);
        BinaryPrimitives.WriteUInt16LittleEndian(vstor[12..], 52);
        vstor[17] = (byte)path;
        vstor[18] = (byte)target;
        vstor[19] = (byte)lun;
        vstor[20] = (byte)cdb.Length;
        vstor[21] = 20;
        vstor[22] = (byte)direction;
        GuestBus.Put(vstor, 24, (uint)(data?.Length ?? 0));
        cdb.CopyTo(vstor[28..]);
        vstor[50] = 0xFF;
        vstor[51] = 0x20;
        GuestBus.Put(vstor, 52, direction switch { SrbData.Read => 0x14Au, SrbData.Write => 0x18A, _ => 0x10A });
        GuestBus.Put(vstor, 56, 60);
        return packet;
    }

    public static void WriteDescriptor(Span<byte> packet, ushort type, int dataOffset, int length, ulong tag)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(packet, type);
        BinaryPrimitives.WriteUInt16LittleEndian(packet[2..], (ushort)(dataOffset / 8));
        BinaryPrimitives.WriteUInt16LittleEndian(packet[4..], (ushort)(length / 8));
        BinaryPrimitives.WriteUInt16LittleEndian(packet[6..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(packet[8..], tag);
    }

    private void SendNow(GuestChannel channel, byte[] packet)
    {
        if (!channel.TrySend(packet))
        {
            Bus.Until(
                () =>
                {
                    Poll(); // the host may be waiting for room itself
                    return channel.TrySend(packet);
                },
                "room in the ring");
        }
    }

    private bool PollAnd(Func<bool> isSo)
    {
        Poll();
        return isSo();
    }

    private void Take(byte[] packet)
    {
        var type = BinaryPrimitives.ReadUInt16LittleEndian(packet);
        var tag = BinaryPrimitives.ReadUInt64LittleEndian(packet.AsSpan(8));
        if (packet.Length != 80 || BinaryPrimitives.ReadUInt16LittleEndian(packet.AsSpan(2)) != 2)
        {
            throw new InvalidOperationException($"A packet of {packet.Length} bytes: Linux has room for 80.");
        }

        var vstor = packet.AsSpan(16);
        var operation = GuestBus.Get(vstor, 0);
        if (type == 6 && tag == 0 && operation == 11)
        {
            Enumerations++;
            return;
        }

        if (type != 11 || operation != 1)
        {
            throw new InvalidOperationException($"A packet of type {type} with operation {operation}.");
        }

        if (tag == InitTag)
        {
            _initReply = vstor.ToArray();
            return;
        }

        if (!_outstanding.Remove(tag))
        {
            throw new InvalidOperationException($"An answer to {tag}, which is not outstanding.");
        }

        _replies.Add(tag, new SrbReply(GuestBus.Get(vstor, 8), vstor[14], vstor[15], vstor.Slice(28, vstor[21]).ToArray(), GuestBus.Get(vstor, 24)));
    }

    private static void Expect(byte[] reply, uint status)
    {
        if (GuestBus.Get(reply, 0) != 1 || GuestBus.Get(reply, 8) != status)
        {
            throw new InvalidOperationException($"Status 0x{GuestBus.Get(reply, 8):X}");
        }
    }
}
