using System.Buffers.Binary;
using VhdCore.Errors;
using VhdService.Testing;

namespace VhdService.Fuzz;

/// <summary>
/// One guest, by its seed: it starts as a decent one does, and then mixes decent acts with senseless ones. Held against it: no fault of the host, no byte of
/// memory changed that the guest never named, no block changed that no command named, little memory held, and the guest can always start over and use its disk.
/// </summary>
/// <param name="seed">All that it does follows from this.</param>
/// <param name="scribbles">It also writes into rings and indices; what it then commands cannot be told, so blocks are not held against it.</param>
internal sealed class HostileGuest(int seed, bool scribbles) : IAsyncDisposable
{
    private const int DiskSize = 1 << 20; // bytes
    private const int RamPages = 1024;
    private const int Steps = 1500;
    private const int CanaryPages = 64;
    private const long HeldLimit = 64 << 20; // bytes

    private readonly Random _random = new(seed);
    private readonly PumpedWorld _world = new(seed);
    private readonly NamedBlocks _named = new(DiskSize);
    private HostMachine _machine = null!;
    private RamDevice _disk = null!;
    private RamDevice _second = null!;
    private GuestStorvsc _driver = null!;
    private ulong[] _pages = [];
    private FuzzTally _tally;

    public FuzzTally Run()
    {
        _disk = new RamDevice(DiskSize);
        _second = new RamDevice(DiskSize) { World = _world };
        new Random(seed).NextBytes(_disk.Content);
        var before = _disk.Content.ToArray();
        _machine = new HostMachine(_world, processors: 2, RamPages, seed, maxTransferBytes: 256 << 10);
        _machine.Processors.SetsOtherVectors = scribbles;
        _machine.Target.Attach(0, _disk);
        _machine.Target.Attach(3, _second);
        _driver = _machine.Start();
        _pages = _machine.Ram.Allocate(32);
        var canaries = _machine.Ram.Allocate(CanaryPages);
        foreach (var page in canaries)
        {
            _machine.Ram.Page(page).Fill(0xC5);
        }

        var held = GC.GetTotalMemory(forceFullCollection: false);
        for (var step = 0; step < Steps; step++)
        {
            Act();
            if (_random.Next(4) == 0)
            {
                Pump(_random.Next(8));
            }
        }

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - held, long.MinValue, HeldLimit);
        StartOver();
        new MiniSd(_driver).Probe();
        var reading = new MiniSd(_driver);
        reading.Probe();
        Assert.True(reading.ReadBlocks(0, 8).AsSpan().SequenceEqual(_disk.Content[..4096]));
        if (!scribbles)
        {
            Assert.All(canaries, page => Assert.False(_machine.Ram.Page(page).ContainsAnyExcept((byte)0xC5), "a page changed that the guest never named"));
            for (var block = 0; block < DiskSize / 512; block++)
            {
                Assert.True(_named[block] || _disk.Content.Slice(block * 512, 512).SequenceEqual(before.AsSpan(block * 512, 512)), $"block {block} changed, and no command named it");
            }
        }

        return _tally;
    }

    public async ValueTask DisposeAsync()
    {
        await _machine.DisposeAsync(); // fails if the host had a fault
        await _disk.DisposeAsync();
        await _second.DisposeAsync();
    }

    private void Act()
    {
        switch (_random.Next(scribbles ? 100 : 62))
        {
            case < 40:
                SendRequest();
                break;
            case < 48:
                Drain();
                break;
            case < 52:
                Signal();
                break;
            case < 55:
                TroubleDevice();
                break;
            case < 58:
                _world.Advance(TimeSpan.FromMilliseconds(_random.Next(30)));
                break;
            case < 61:
                ChangeUnits();
                break;
            case < 62:
                StartOver();
                break;
            case < 72:
                PostControlMessage();
                break;
            case < 76:
                PostNoise();
                break;
            case < 80:
                var control = _random.Next(2) == 0 ? Number() : 0x5Cu + (uint)_random.Next(2) + ((ulong)_random.Next(2) << 16);
                _machine.Processors.Partition.Hypercall(control, Address(), Address());
                break;
            case < 84:
                TouchRegister();
                break;
            case < 90:
                SendNoise();
                break;
            case < 95:
                ScribbleIndices();
                break;
            default:
                ScribbleData();
                break;
        }
    }

    private void SendRequest()
    {
        var length = _random.Next(4) == 0 ? 0 : _random.Next(1, 20_000);
        var offset = _random.Next(4096);
        var pages = length == 0 ? [] : Enumerable.Range(0, (length + offset + 4095) / 4096).Select(_ => _pages[Math.Max(1, _random.Next(_pages.Length))]).ToArray();
        var cdb = OddCommands.Make(_random, DiskSize / 512);
        var parameters = OddCommands.MakeParameters(_random, cdb, DiskSize / 512);
        if (parameters.Length > 0)
        {
            // In the first page, which no other request names, so that nothing else changes them.
            pages = [_pages[0]];
            offset = 0;
            length = parameters.Length;
            parameters.CopyTo(_machine.Ram.Page(_pages[0]));
        }

        _named.Add(cdb, parameters);
        var packet = Build(cdb, pages, offset, length);
        if (_random.Next(3) == 0)
        {
            Spoil(packet, pages.Length);
            if (parameters.Length > 0)
            {
                AddMoved(cdb, packet);
            }
        }

        var channel = _driver.Channels[0];
        if (channel.Outgoing.In % 8 == 0 && channel.Outgoing.In < channel.Outgoing.Size && channel.Outgoing.Out < channel.Outgoing.Size && channel.TrySend(packet))
        {
            _tally = _tally with { Requests = _tally.Requests + 1 };
        }

        if (parameters.Length > 0)
        {
            _world.RunAll(); // the page is free for the next
        }
    }

    /// <summary>A packet that was spoilt may say that its parameters lie elsewhere in their page, where those of earlier ones may be left.</summary>
    private void AddMoved(byte[] cdb, byte[] packet)
    {
        var length = BinaryPrimitives.ReadUInt32LittleEndian(packet.AsSpan(24));
        var offset = BinaryPrimitives.ReadUInt32LittleEndian(packet.AsSpan(28));
        if (offset < 4096)
        {
            _named.Add(cdb, _machine.Ram.Page(_pages[0]).Slice((int)offset, (int)Math.Min(length, 4096 - offset)).ToArray());
        }
    }

    private byte[] Build(byte[] cdb, ulong[] pages, int offset, int length)
    {
        var ranges = pages.Length == 0 ? [] : GuestBus.Range((uint)length, (uint)offset, pages);
        var header = ranges.Length == 0 ? 16 : 24 + ranges.Length;
        var packet = new byte[header + 64];
        GuestStorvsc.WriteDescriptor(packet, ranges.Length == 0 ? (ushort)6 : (ushort)9, header, packet.Length, (ulong)_random.Next(1, 1000));
        if (ranges.Length > 0)
        {
            GuestBus.Put(packet, 20, 1);
            ranges.CopyTo(packet, 24);
        }

        var vstor = packet.AsSpan(header);
        GuestBus.Put(vstor, 0, _random.Next(12) == 0 ? (uint)_random.Next(16) : 3);
        vstor[17] = (byte)(_random.Next(10) == 0 ? _random.Next(256) : 0);
        vstor[18] = (byte)(_random.Next(10) == 0 ? _random.Next(256) : 0);
        vstor[19] = (byte)(_random.Next(10) == 0 ? _random.Next(256) : 0);
        vstor[20] = (byte)(_random.Next(10) == 0 ? _random.Next(256) : cdb.Length);
        vstor[21] = (byte)_random.Next(256);
        vstor[22] = (byte)(_random.Next(10) == 0 ? _random.Next(256) : cdb[0] is 0x0A or 0x2A or 0x8A or 0xAA or 0x42 or 0x41 or 0x93 or 0x2F or 0x8F ? 0 : 1);
        GuestBus.Put(vstor, 24, _random.Next(10) == 0 ? (uint)_random.Next() : (uint)length);
        cdb.CopyTo(vstor[28..]);
        return packet;
    }

    /// <summary>Changes what describes memory and the packet itself, never the command.</summary>
    private void Spoil(byte[] packet, int pageCount)
    {
        switch (_random.Next(pageCount > 0 ? 6 : 2))
        {
            case 0 when scribbles:
                BinaryPrimitives.WriteUInt16LittleEndian(packet.AsSpan(_random.Next(3) * 2), (ushort)_random.Next());
                break;
            case 1:
                packet[6] ^= 1; // wants no answer, perhaps
                break;
            case 2:
                GuestBus.Put(packet, 20, (uint)(_random.Next(2) == 0 ? _random.Next(20) : _random.Next()));
                break;
            case 3:
                GuestBus.Put(packet, 24, (uint)Number());
                break;
            case 4:
                GuestBus.Put(packet, 28, (uint)Number());
                break;
            case 5:
                BinaryPrimitives.WriteUInt64LittleEndian(packet.AsSpan(32 + (8 * _random.Next(pageCount))), (ulong)RamPages + (Number() >> _random.Next(64)));
                break;
        }
    }

    private void SendNoise()
    {
        var packet = new byte[16 + (8 * _random.Next(40))];
        _random.NextBytes(packet);
        if (_random.Next(2) == 0)
        {
            GuestStorvsc.WriteDescriptor(packet, (ushort)_random.Next(13), _random.Next(packet.Length + 16), packet.Length, 1);
        }

        var ring = _driver.Channels[0].Outgoing;
        if (ring.In % 8 == 0 && ring.In < ring.Size && ring.Out < ring.Size)
        {
            _driver.Channels[0].TrySend(packet);
        }
    }

    private void ScribbleIndices()
    {
        var channel = _driver.Channels[0];
        var ring = _random.Next(2) == 0 ? channel.Outgoing : channel.Incoming;
        var value = _random.Next(3) switch { 0 => (uint)_random.Next(ring.Size), 1 => (uint)(_random.Next(ring.Size) & ~7), _ => (uint)Number() };
        switch (_random.Next(5))
        {
            case 0:
                ring.In = value;
                break;
            case 1:
                ring.Out = value;
                break;
            case 2:
                ring.PendingSendSize = value;
                break;
            case 3:
                ring.InterruptMask = value;
                break;
            default:
                ring.FeatureBits = value;
                break;
        }
    }

    private void ScribbleData()
    {
        var bytes = new byte[_random.Next(1, 32)];
        _random.NextBytes(bytes);
        var ring = _driver.Channels[0].Outgoing;
        ring.Copy((uint)_random.Next(ring.Size), bytes);
    }

    private void PostControlMessage()
    {
        var message = GuestBus.Message((uint)_random.Next(26), _random.Next(5) == 0 ? _random.Next(4, 241) : 148);
        for (var at = 8; at + 4 <= message.Length; at += 4)
        {
            var value = _random.Next(6) switch
            {
                0 => _driver.Channels[0].Offer.Relid,
                1 => _driver.Channels[0].Gpadl,
                2 => (uint)_random.Next(4),
                3 => (uint)_random.Next(RamPages),
                4 => GuestBus.V5_3,
                _ => (uint)Number(),
            };
            GuestBus.Put(message, at, value);
        }

        Post(message);
    }

    private void PostNoise()
    {
        var message = new byte[_random.Next(241)];
        _random.NextBytes(message);
        if (message.Length >= 4)
        {
            GuestBus.Put(message, 0, (uint)_random.Next(26));
        }

        Post(message);
    }

    private void Post(byte[] message)
    {
        if (_machine.Processors.PostMessage(_random.Next(8) == 0 ? (uint)_random.Next(8) : 4, message) == 0)
        {
            _tally = _tally with { Messages = _tally.Messages + 1 };
        }
    }

    private void TouchRegister()
    {
        uint[] registers = [0x40000000, 0x40000001, 0x40000002, 0x40000020, 0x40000021, 0x40000073, 0x40000080, 0x40000082, 0x40000083, 0x40000084, 0x40000092, 0x40000118];
        var register = _random.Next(3) == 0 ? 0x40000000 + (uint)_random.Next(0x200) : registers[_random.Next(registers.Length)];
        var partition = _machine.Processors.Partition;
        partition.TryReadMsr(_random.Next(2), register, out _);
        var value = _random.Next(2) == 0 ? Address() | (_random.Next(2) == 0 ? 0UL : 1) : Number();
        partition.TryWriteMsr(_random.Next(2), register, register == 0x40000001 ? value & ~2UL : value); // locked, it could never start over
    }

    private void Drain()
    {
        var ring = _driver.Channels[0].Incoming;
        if (scribbles)
        {
            if (_random.Next(2) == 0)
            {
                ring.Out = ring.In;
            }

            _machine.Processors.TryTakeMessage(_random.Next(2));
            return;
        }

        while (ring.TryRead(out var signal) is not null)
        {
            _tally = _tally with { Answers = _tally.Answers + 1 };
            if (signal)
            {
                _driver.Channels[0].Signal();
            }
        }
    }

    private void Signal() => _machine.Processors.SignalEvent(_random.Next(2) == 0 ? _driver.Channels[0].Offer.ConnectionId : (uint)Number());

    private void TroubleDevice()
    {
        _second.Holds = _random.Next(3) == 0;
        if (!_second.Holds)
        {
            _second.Release(_random.Next(10));
        }

        var failing = _random.Next(3) == 0 ? (BlockStatus)_random.Next(1, 9) : BlockStatus.Ok;
        _second.Fault = (_, _) => failing;
    }

    private void ChangeUnits()
    {
        if (_machine.Target[3] is null)
        {
            _machine.Target.Attach(3, _second);
        }
        else if (_random.Next(3) == 0)
        {
            _second.Resize(DiskSize + (_random.Next(256) * 512));
        }
        else
        {
            _machine.Target.Detach(3);
        }
    }

    /// <summary>Whatever was done: a guest that begins at the beginning finds everything as it was.</summary>
    private void StartOver()
    {
        _second.Holds = false;
        _second.Fault = null;
        _second.Release();
        _world.RunAll();
        _machine.Ram.Free(_driver.Channels[0].Pages);
        for (var processor = 0; processor < 2; processor++)
        {
            _machine.Processors.WriteMsr(processor, 0x40000080, 0);
            _machine.Processors.EnableSynic(processor);
        }

        _machine.Processors.EnableHypercalls();

        // What was asked before is answered before; a guest that did not hear that out could not tell its answers from the new ones.
        do
        {
            _world.RunAll();
        }
        while (_machine.Processors.TryTakeMessage(0) is not null | _machine.Processors.TryTakeMessage(1) is not null | _world.Pending > 0);

        _machine.Guest.Connect();
        _machine.Guest.RequestOffers();
        _driver = GuestStorvsc.Start(_machine.Guest, _machine.Guest.Offers[0]);
        _tally = _tally with { Restarts = _tally.Restarts + 1, Messages = _tally.Messages + 1, Answers = _tally.Answers + 5 };
    }

    private void Pump(int count)
    {
        for (; count > 0 && _world.RunOne(); count--)
        {
        }
    }

    private ulong Number() => (ulong)_random.NextInt64() << _random.Next(2) >> _random.Next(64);

    private ulong Address() => _random.Next(3) switch
    {
        0 => (_pages[_random.Next(_pages.Length)] * 4096) + (ulong)(_random.Next(512) * 8),
        1 => (ulong)_random.Next(RamPages) * 4096,
        _ => Number(),
    };
}
