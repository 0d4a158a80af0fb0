using VhdService.Testing;
using VhdService.Vmbus;

namespace VhdService.Tests.Vmbus;

/// <summary>Both ends of a ring on threads of their own, where each sleeps until the other's rules say to wake it. A wake that gets lost shows as a sleep without end.</summary>
public sealed class RingSleepTests : IDisposable
{
    private const int PacketSize = 80;

    private static readonly TimeSpan WithoutEnd = TimeSpan.FromMinutes(1);

    private readonly GuestRam _ram = new(256, seed: 9);
    private readonly GuestRing _guest;
    private readonly RingPages _pages;
    private readonly SemaphoreSlim _signals = new(0);
    private volatile bool _isStuck;

    public RingSleepTests()
    {
        var numbers = _ram.Allocate(RingPages.MinPages);
        _guest = new GuestRing(_ram, numbers);
        _pages = new RingPages([.. numbers.Select(number => _ram.Memory.TryGetAddress(number * GuestRam.PageSize, GuestRam.PageSize, out var address) ? address : 0)]);
    }

    [Fact]
    public async Task A_host_that_sleeps_until_there_is_room_is_woken()
    {
        const int Count = 100_000;
        var host = new OutgoingRing(_pages);
        var reading = Start(() =>
        {
            var packet = new byte[PacketSize];
            for (var i = 0; i < Count && !_isStuck;)
            {
                var length = _guest.TryRead(packet, out var signal);
                i += length > 0 ? 1 : 0;
                if (signal)
                {
                    _signals.Release();
                }
            }
        });
        var sending = Start(() =>
        {
            var packet = Packet();
            for (var i = 0; i < Count && !_isStuck; i++)
            {
                while (host.TryWrite(packet) == RingWrite.Full && !_isStuck)
                {
                    host.Publish();
                    if (host.TryWrite(packet) == RingWrite.Written)
                    {
                        break;
                    }

                    Sleep();
                }
            }

            host.Publish();
        });
        await Task.WhenAll(sending, reading);
    }

    [Fact]
    public async Task A_host_that_sleeps_until_there_is_a_packet_is_woken()
    {
        const int Count = 10_000;
        var host = new IncomingRing(_pages);
        var sending = Start(() =>
        {
            var packet = Packet();
            for (var i = 0; i < Count && !_isStuck;)
            {
                if (_guest.TryWrite(packet, out var signal))
                {
                    i++;
                }

                if (signal)
                {
                    _signals.Release();
                }
            }
        });
        var reading = Start(() =>
        {
            host.Mask();
            for (var i = 0; i < Count && !_isStuck;)
            {
                if (host.TryRead(out _) == RingRead.Packet)
                {
                    i++;
                    continue;
                }

                host.Publish();
                host.Unmask();
                if (!host.HasMore)
                {
                    Sleep();
                }

                host.Mask();
            }
        });
        await Task.WhenAll(sending, reading);
    }

    [Fact]
    public async Task A_guest_that_sleeps_until_there_is_room_is_woken()
    {
        const int Count = 100_000;
        var host = new IncomingRing(_pages);
        _guest.FeatureBits = 1;
        var sending = Start(() =>
        {
            var packet = Packet();
            for (var i = 0; i < Count && !_isStuck; i++)
            {
                while (!_guest.TryWrite(packet, out _) && !_isStuck)
                {
                    Volatile.Write(ref _guest.PendingSendSize, PacketSize + 8);
                    Interlocked.MemoryBarrier();
                    if (_guest.BytesFree <= PacketSize + 8)
                    {
                        Sleep();
                    }

                    Volatile.Write(ref _guest.PendingSendSize, 0);
                }
            }
        });
        var reading = Start(() =>
        {
            for (var i = 0; i < Count && !_isStuck;)
            {
                i += host.TryRead(out _) == RingRead.Packet ? 1 : 0;
                if (host.Publish())
                {
                    _signals.Release();
                }
            }
        });
        await Task.WhenAll(sending, reading);
    }

    [Fact]
    public async Task A_guest_that_sleeps_until_there_is_a_packet_is_woken()
    {
        const int Count = 10_000;
        var host = new OutgoingRing(_pages);
        var reading = Start(() =>
        {
            var packet = new byte[PacketSize];
            for (var i = 0; i < Count && !_isStuck;)
            {
                if (_guest.TryRead(packet, out _) > 0)
                {
                    i++;
                    continue;
                }

                // As Linux: it unmasks, looks once more, and sleeps.
                Volatile.Write(ref _guest.InterruptMask, 0);
                Interlocked.MemoryBarrier();
                if (_guest.BytesToRead == 0)
                {
                    Sleep();
                }

                Volatile.Write(ref _guest.InterruptMask, 1);
            }
        });
        var sending = Start(() =>
        {
            var packet = Packet();
            for (var i = 0; i < Count && !_isStuck;)
            {
                if (host.TryWrite(packet) == RingWrite.Written)
                {
                    i++;
                }

                if (host.Publish())
                {
                    _signals.Release();
                }
            }
        });
        await Task.WhenAll(sending, reading);
    }

    public void Dispose()
    {
        _ram.Dispose();
        _signals.Dispose();
    }

    // More signals than sleeps are allowed: each is looked at like a new one.
    private void Sleep()
    {
        _isStuck |= !_signals.Wait(WithoutEnd);
        Assert.False(_isStuck, "Nobody signals.");
    }

    private static Task Start(Action action) => Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static byte[] Packet()
    {
        var packet = new byte[PacketSize];
        GuestStorvsc.WriteDescriptor(packet, 6, 16, packet.Length, 1);
        return packet;
    }
}
