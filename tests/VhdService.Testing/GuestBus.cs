using System.Buffers.Binary;

namespace VhdService.Testing;

/// <summary>A channel that the host has offered.</summary>
internal sealed record ChannelOffer(Guid InterfaceType, Guid InstanceId, int SubChannelIndex, uint Relid, uint ConnectionId, byte[] Message);

/// <summary>The guest's bus driver: posts control messages, and waits for answers while the world steps.</summary>
internal sealed class GuestBus(GuestRam ram, FakeProcessors processors, IWorld world)
{
    public const uint V3_0 = 0x30000, V4_0 = 0x40000, V4_1 = 0x40001, V5_0 = 0x50000, V5_1 = 0x50001, V5_2 = 0x50002, V5_3 = 0x50003;

    /// <summary>Longer than any answer takes on a loaded machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly List<byte[]> _waiting = [];
    private uint _connection = 4;
    private uint _nextGpadl = 0xE1E10;

    public GuestRam Ram => ram;

    public FakeProcessors Processors => processors;

    public IWorld World => world;

    public uint Version { get; private set; }

    /// <summary>The processor that messages come to.</summary>
    public int MessageProcessor { get; private set; }

    /// <summary>The connection id that messages go to now.</summary>
    public uint Connection => _connection;

    /// <summary>Offers that came, in order.</summary>
    public List<ChannelOffer> Offers { get; } = [];

    /// <summary>Relids whose offers the host took back.</summary>
    public List<uint> Rescinded { get; } = [];

    /// <summary>Messages that were neither of these two.</summary>
    public IReadOnlyList<byte[]> Waiting => _waiting;

    /// <summary>Asks for a version.</summary>
    /// <returns>The answer.</returns>
    public byte[] InitiateContact(uint version, int processor = 0)
    {
        MessageProcessor = processor;
        var message = Message(14, 40);
        Put(message, 8, version);
        Put(message, 12, (uint)processor);
        if (version >= V5_0)
        {
            message[16] = 2; // SINT
        }
        else
        {
            BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(16), ram.Allocate() * GuestRam.PageSize);
        }

        Offers.Clear();
        Rescinded.Clear();
        _waiting.Clear();
        Post(message, version >= V5_0 ? 4u : 1u);
        return WaitFor(15);
    }

    /// <summary>Walks down from 5.3 as Linux does.</summary>
    public void Connect(int processor = 0, uint highest = V5_3)
    {
        foreach (var version in new[] { V5_3, V5_2, V5_1, V5_0, V4_1, V4_0, V3_0 }.Where(version => version <= highest))
        {
            var answer = InitiateContact(version, processor);
            if (answer[8] == 1)
            {
                Version = version;
                _connection = version >= V5_0 ? Get(answer, 12) : 1;
                return;
            }
        }

        throw new InvalidOperationException("The host wants no version.");
    }

    public void RequestOffers()
    {
        Post(Message(3, 8));
        WaitFor(4);
    }

    /// <summary>Shares pages, in as many messages as they take.</summary>
    public uint CreateGpadl(uint relid, ulong[] pages)
    {
        var (gpadl, status) = TryCreateGpadl(relid, Range((uint)pages.Length * GuestRam.PageSize, 0, pages), 1);
        return status == 0 ? gpadl : throw new InvalidOperationException($"GPADL status 0x{status:X}");
    }

    /// <summary>Sends the words of a list, whatever they are, and waits for the answer.</summary>
    public (uint Gpadl, uint Status) TryCreateGpadl(uint relid, byte[] ranges, int rangeCount)
    {
        var gpadl = _nextGpadl++;
        PostGpadl(relid, gpadl, ranges, rangeCount);
        var answer = WaitFor(10);
        if (Get(answer, 8) != relid || Get(answer, 12) != gpadl)
        {
            throw new InvalidOperationException("The answer is for another GPADL.");
        }

        return (gpadl, Get(answer, 16));
    }

    public void PostGpadl(uint relid, uint gpadl, byte[] ranges, int rangeCount)
    {
        var first = Math.Min(ranges.Length, 8 + (26 * 8));
        var header = Message(8, 20 + first);
        Put(header, 8, relid);
        Put(header, 12, gpadl);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(16), (ushort)ranges.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(18), (ushort)rangeCount);
        ranges.AsSpan(0, first).CopyTo(header.AsSpan(20));
        Post(header);
        for (var at = first; at < ranges.Length;)
        {
            var length = Math.Min(ranges.Length - at, 28 * 8);
            var body = Message(9, 16 + length);
            Put(body, 12, gpadl);
            ranges.AsSpan(at, length).CopyTo(body.AsSpan(16));
            Post(body);
            at += length;
        }
    }

    public static byte[] Range(uint byteCount, uint byteOffset, ulong[] pages)
    {
        var range = new byte[8 + (8 * pages.Length)];
        Put(range, 0, byteCount);
        Put(range, 4, byteOffset);
        for (var index = 0; index < pages.Length; index++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(range.AsSpan(8 + (8 * index)), pages[index]);
        }

        return range;
    }

    public void TearDownGpadl(uint relid, uint gpadl)
    {
        PostTearDown(relid, gpadl);
        if (Get(WaitFor(12), 8) != gpadl)
        {
            throw new InvalidOperationException("Another GPADL was torn down.");
        }
    }

    public void PostTearDown(uint relid, uint gpadl)
    {
        var message = Message(11, 16);
        Put(message, 8, relid);
        Put(message, 12, gpadl);
        Post(message);
    }

    /// <summary>Opens a channel.</summary>
    /// <returns>The status.</returns>
    public uint Open(uint relid, uint gpadl, uint downstreamPage, int processor = 0)
    {
        PostOpen(relid, gpadl, downstreamPage, processor);
        var answer = WaitFor(6);
        if (Get(answer, 8) != relid || Get(answer, 12) != relid + 1000)
        {
            throw new InvalidOperationException("Another channel was opened.");
        }

        return Get(answer, 16);
    }

    public void PostOpen(uint relid, uint gpadl, uint downstreamPage, int processor)
    {
        var message = Message(5, 148);
        Put(message, 8, relid);
        Put(message, 12, relid + 1000); // open id
        Put(message, 16, gpadl);
        Put(message, 20, (uint)processor);
        Put(message, 24, downstreamPage);
        Post(message);
    }

    public void PostRelid(uint type, uint relid)
    {
        var message = Message(type, 12);
        Put(message, 8, relid);
        Post(message);
    }

    public void Close(uint relid) => PostRelid(7, relid);

    public void ReleaseRelid(uint relid) => PostRelid(13, relid);

    public void ModifyChannel(uint relid, int processor)
    {
        var message = Message(22, 16);
        Put(message, 8, relid);
        Put(message, 12, (uint)processor);
        Post(message);
    }

    public void Unload()
    {
        Post(Message(16, 8));
        WaitFor(17);
    }

    /// <summary>Posts a message, again and again while the host has no room.</summary>
    public void Post(byte[] message, uint? connection = null)
    {
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (true)
        {
            var status = processors.PostMessage(connection ?? _connection, message);
            if (status == 0)
            {
                return;
            }

            if (status != 0x13 || Environment.TickCount64 > deadline)
            {
                throw new InvalidOperationException($"HvPostMessage status 0x{status:X}");
            }

            Poll();
            world.Step();
        }
    }

    /// <summary>Takes messages that are there.</summary>
    public void Poll()
    {
        while (processors.TryTakeMessage(MessageProcessor) is { } message)
        {
            switch (Get(message, 0))
            {
                case 1:
                    Offers.Add(new ChannelOffer(
                        new Guid(message.AsSpan(8, 16)), new Guid(message.AsSpan(24, 16)),
                        BinaryPrimitives.ReadUInt16LittleEndian(message.AsSpan(180)), Get(message, 184), Get(message, 192), message));
                    break;

                case 2:
                    Rescinded.Add(Get(message, 8));
                    break;

                default:
                    _waiting.Add(message);
                    break;
            }
        }
    }

    /// <summary>The next message of a type.</summary>
    public byte[] WaitFor(uint type)
    {
        byte[]? found = null;
        Until(() => (found = TryTake(type)) is not null, $"message {type}");
        return found!;
    }

    public byte[]? TryTake(uint type)
    {
        Poll();
        var index = _waiting.FindIndex(message => Get(message, 0) == type);
        if (index < 0)
        {
            return null;
        }

        var message = _waiting[index];
        _waiting.RemoveAt(index);
        return message;
    }

    /// <summary>Steps the world until something is so.</summary>
    public void Until(Func<bool> isSo, string what)
    {
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (!isSo())
        {
            if (Environment.TickCount64 > deadline)
            {
                throw new TimeoutException($"The guest waits for {what}.");
            }

            world.Step();
            Poll();
        }
    }

    public static byte[] Message(uint type, int size)
    {
        var message = new byte[size];
        Put(message, 0, type);
        return message;
    }

    public static uint Get(ReadOnlySpan<byte> message, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(message[offset..]);

    public static void Put(Span<byte> message, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(message[offset..], value);
}
