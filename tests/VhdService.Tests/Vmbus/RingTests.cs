using System.Buffers.Binary;
using VhdService.Testing;
using VhdService.Vmbus;

namespace VhdService.Tests.Vmbus;

/// <summary>Both ends of both rings: the host's, and the guest's that was written apart from it.</summary>
public sealed class RingTests : IDisposable
{
    private readonly GuestRam _ram = new(256, seed: 9);

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 2)]
    [InlineData(4, 3)]
    [InlineData(32, 4)]
    public void What_a_guest_writes_the_host_reads_wherever_it_wraps(int pageCount, int seed)
    {
        var (guest, pages) = Ring(pageCount);
        var host = new IncomingRing(pages);
        var random = new Random(seed);
        var sent = new Queue<byte[]>();
        for (var step = 0; step < 20_000; step++)
        {
            if (random.Next(2) == 0)
            {
                var packet = Packet(random, guest.Size);
                var mustFit = guest.BytesFree > packet.Length + 8;
                Assert.Equal(mustFit, guest.TryWrite(packet, out _));
                if (mustFit)
                {
                    sent.Enqueue(packet);
                }
            }
            else
            {
                var outcome = host.TryRead(out var packet);
                Assert.Equal(sent.Count == 0 ? RingRead.Empty : RingRead.Packet, outcome);
                if (outcome == RingRead.Packet)
                {
                    Assert.Equal(sent.Dequeue(), packet.ToArray());
                }

                if (random.Next(3) == 0)
                {
                    host.Publish();
                }
            }
        }
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 2)]
    [InlineData(5, 3)]
    [InlineData(32, 4)]
    public void What_the_host_writes_a_guest_reads_wherever_it_wraps(int pageCount, int seed)
    {
        var (guest, pages) = Ring(pageCount);
        var host = new OutgoingRing(pages);
        var random = new Random(seed);
        var sent = new Queue<byte[]>();
        var hidden = 0;
        for (var step = 0; step < 20_000; step++)
        {
            switch (random.Next(5))
            {
                case 0 or 1:
                    var packet = Packet(random, guest.Size);
                    var outcome = host.TryWrite(packet);
                    if (outcome == RingWrite.Written)
                    {
                        sent.Enqueue(packet);
                        hidden++;
                    }
                    else
                    {
                        Assert.Equal(RingWrite.Full, outcome);
                        Assert.Equal((uint)packet.Length + 8, guest.PendingSendSize);
                    }

                    break;

                case 2:
                    host.Publish();
                    hidden = 0;
                    break;

                default:
                    var read = guest.TryRead(out _);
                    Assert.Equal(sent.Count > hidden, read is not null);
                    if (read is not null)
                    {
                        Assert.Equal(sent.Dequeue(), read);
                    }

                    break;
            }
        }
    }

    [Fact]
    public void A_packet_may_wrap_at_every_byte()
    {
        var (guest, pages) = Ring(2);
        var incoming = new IncomingRing(pages);
        var (guestIn, pagesIn) = Ring(2);
        var outgoing = new OutgoingRing(pagesIn);
        var packet = new byte[80]; // 88 with its trailer: the starts go through every multiple of 8
        for (var i = 16; i < packet.Length; i++)
        {
            packet[i] = (byte)i;
        }

        GuestStorvsc.WriteDescriptor(packet, 6, 16, packet.Length, 1);
        for (var start = 0; start < 2 * guest.Size / 8; start++)
        {
            Assert.True(guest.TryWrite(packet, out _));
            Assert.Equal(RingRead.Packet, incoming.TryRead(out var read));
            Assert.Equal(packet, read.ToArray());
            incoming.Publish();
            Assert.Equal(RingWrite.Written, outgoing.TryWrite(packet));
            outgoing.Publish();
            Assert.Equal(packet, guestIn.TryRead(out _));
        }

        Assert.Equal(guest.In, guest.Out);
    }

    [Fact]
    public void A_ring_is_never_filled_to_the_last_byte()
    {
        var (guest, pages) = Ring(2);
        var host = new OutgoingRing(pages);
        var packet = new byte[2040];
        GuestStorvsc.WriteDescriptor(packet, 11, 16, packet.Length, 1);
        Assert.Equal(RingWrite.Written, host.TryWrite(packet)); // 2048 with its trailer
        Assert.Equal(RingWrite.Full, host.TryWrite(packet)); // 2048 are free, and must not all be taken
        Assert.Equal(RingWrite.Written, host.TryWrite(packet.AsSpan(0, 2032)));
        host.Publish();
        Assert.Equal(4088, guest.BytesToRead);
    }

    [Fact]
    public void Each_packet_says_behind_it_where_it_began()
    {
        var (guest, pages) = Ring(3);
        var host = new OutgoingRing(pages);
        var packet = new byte[80];
        GuestStorvsc.WriteDescriptor(packet, 11, 16, packet.Length, 1);
        host.TryWrite(packet);
        host.TryWrite(packet);
        host.Publish();
        Assert.Equal(0UL, Trailer(pages, 80));
        Assert.Equal(88UL << 32, Trailer(pages, 168));
        Assert.Equal(176u, guest.In);
    }

    [Fact]
    public void The_host_says_that_it_knows_pending_sizes()
    {
        var (guest, pages) = Ring(2);
        Assert.Equal(0u, guest.FeatureBits);
        _ = new OutgoingRing(pages);
        Assert.Equal(1u, guest.FeatureBits);
    }

    [Fact]
    public void The_host_signals_when_an_empty_ring_gets_something_and_only_then()
    {
        var (guest, pages) = Ring(2);
        var host = new OutgoingRing(pages);
        var packet = Completion();
        Assert.False(host.Publish()); // nothing
        host.TryWrite(packet);
        host.TryWrite(packet);
        Assert.True(host.Publish()); // a batch is one signal
        host.TryWrite(packet);
        Assert.False(host.Publish()); // the guest has not emptied it
        guest.TryRead(out _);
        host.TryWrite(packet);
        Assert.False(host.Publish());
        while (guest.TryRead(out _) is not null)
        {
        }

        host.TryWrite(packet);
        Assert.True(host.Publish());
    }

    [Fact]
    public void A_guest_that_masks_is_not_signalled()
    {
        var (guest, pages) = Ring(2);
        var host = new OutgoingRing(pages);
        guest.InterruptMask = 1;
        host.TryWrite(Completion());
        Assert.False(host.Publish());
    }

    [Fact]
    public void A_guest_need_not_signal_while_the_host_looks_for_itself()
    {
        var (guest, pages) = Ring(2);
        var host = new IncomingRing(pages);
        host.Mask();
        guest.TryWrite(Completion(), out var signal);
        Assert.False(signal);
        Assert.Equal(RingRead.Packet, host.TryRead(out _));
        Assert.False(host.HasMore);
        host.Publish();
        host.Unmask();
        Assert.False(host.HasMore);
        guest.TryWrite(Completion(), out signal);
        Assert.True(signal);
        Assert.True(host.HasMore);
        guest.TryWrite(Completion(), out signal);
        Assert.False(signal);
    }

    [Fact]
    public void A_guest_that_waits_for_room_is_signalled_once_when_there_is_enough()
    {
        var (guest, pages) = Ring(2);
        var host = new IncomingRing(pages);
        while (guest.TryWrite(Completion(), out _))
        {
        }

        guest.PendingSendSize = 500;
        var signals = new List<int>();
        for (var reads = 1; host.TryRead(out _) == RingRead.Packet; reads++)
        {
            if (host.Publish())
            {
                signals.Add(reads);
            }
        }

        // 4096 hold 46 packets of 88 bytes, and 48 are free; more than 500 are after the sixth.
        Assert.Equal([6], signals);
    }

    [Fact]
    public void A_guest_that_does_not_wait_is_not_signalled_for_room()
    {
        var (guest, pages) = Ring(2);
        var host = new IncomingRing(pages);
        while (guest.TryWrite(Completion(), out _))
        {
        }

        while (host.TryRead(out _) == RingRead.Packet)
        {
            Assert.False(host.Publish());
        }
    }

    [Fact]
    public void Room_that_was_seen_by_the_host_itself_ends_its_wish()
    {
        var (guest, pages) = Ring(2);
        var host = new OutgoingRing(pages);
        while (host.TryWrite(Completion()) == RingWrite.Written)
        {
        }

        host.Publish();
        Assert.Equal(88u, guest.PendingSendSize);
        guest.TryRead(out var signal);
        Assert.True(signal);
        Assert.Equal(RingWrite.Written, host.TryWrite(Completion()));
        Assert.Equal(0u, guest.PendingSendSize);
    }

    [Theory]
    [InlineData(4096u)] // the size itself
    [InlineData(4u)] // no multiple of eight
    [InlineData(8u)] // less than a packet
    [InlineData(16u)]
    [InlineData(uint.MaxValue)]
    [InlineData(0x8000_0000u)]
    public void An_index_that_cannot_be_breaks_the_ring(uint index)
    {
        var (guest, pages) = Ring(2);
        var host = new IncomingRing(pages);
        guest.In = index;
        Assert.Equal(RingRead.Broken, host.TryRead(out _));
    }

    [Theory]
    [InlineData(0, 16)] // data before the descriptor's end
    [InlineData(8, 16)]
    [InlineData(24, 16)] // data behind the packet
    [InlineData(16, 8)] // no room for the descriptor
    [InlineData(16, 0)]
    [InlineData(16, 96)] // as long as what was written, without the trailer
    [InlineData(16, 65528 * 8 / 8)]
    public void A_descriptor_that_cannot_be_breaks_the_ring(int dataOffset, int length)
    {
        var (guest, pages) = Ring(2);
        var host = new IncomingRing(pages);
        var packet = Completion();
        GuestStorvsc.WriteDescriptor(packet, 6, dataOffset, length, 1);
        guest.TryWrite(packet, out _);
        Assert.Equal(RingRead.Broken, host.TryRead(out _));
    }

    [Fact]
    public void A_packet_longer_than_the_limit_breaks_the_ring()
    {
        var (guest, pages) = Ring(33);
        var host = new IncomingRing(pages);
        var packet = new byte[VmbusLimits.PacketBytes + 8];
        GuestStorvsc.WriteDescriptor(packet, 6, 16, packet.Length, 1);
        Assert.True(guest.TryWrite(packet, out _));
        Assert.Equal(RingRead.Broken, host.TryRead(out _));
    }

    [Fact]
    public void A_packet_of_the_limit_passes()
    {
        var (guest, pages) = Ring(33);
        var host = new IncomingRing(pages);
        var packet = new byte[VmbusLimits.PacketBytes];
        GuestStorvsc.WriteDescriptor(packet, 6, 16, packet.Length, 1);
        Assert.True(guest.TryWrite(packet, out _));
        Assert.Equal(RingRead.Packet, host.TryRead(out var read));
        Assert.Equal(packet, read.ToArray());
    }

    [Theory]
    [InlineData(4096u)]
    [InlineData(4u)]
    [InlineData(uint.MaxValue)]
    [InlineData(1024u)] // what was not written cannot have been read
    public void A_guest_that_moves_its_read_index_elsewhere_breaks_the_ring(uint index)
    {
        var (guest, pages) = Ring(2);
        var host = new OutgoingRing(pages);
        host.TryWrite(Completion());
        host.Publish();
        while (host.TryWrite(Completion()) == RingWrite.Written)
        {
        }

        guest.Out = index;
        Assert.Equal(RingWrite.Broken, host.TryWrite(Completion()));
    }

    [Fact]
    public void A_packet_is_judged_by_the_copy_and_not_by_the_ring()
    {
        var (guest, pages) = Ring(2);
        var host = new IncomingRing(pages);
        guest.TryWrite(Completion(), out _);
        Assert.Equal(RingRead.Packet, host.TryRead(out var packet));
        var before = packet.ToArray();
        Span<byte> scribble = stackalloc byte[88];
        scribble.Fill(0xFF);
        guest.Copy(0, scribble);
        Assert.Equal(before, packet.ToArray());
    }

    public void Dispose() => _ram.Dispose();

    private static ulong Trailer(RingPages pages, int at)
    {
        Span<byte> bytes = stackalloc byte[8];
        pages.Read(at, bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    private static byte[] Completion()
    {
        var packet = new byte[80];
        GuestStorvsc.WriteDescriptor(packet, 6, 16, packet.Length, 1);
        return packet;
    }

    private static byte[] Packet(Random random, int ringSize)
    {
        var packet = new byte[16 + (8 * random.Next(Math.Min(300, (ringSize - 24) / 8)))];
        random.NextBytes(packet);
        GuestStorvsc.WriteDescriptor(packet, 6, 16, packet.Length, (ulong)random.NextInt64());
        return packet;
    }

    private (GuestRing Guest, RingPages Pages) Ring(int pageCount)
    {
        var pages = _ram.Allocate(pageCount);
        var guest = new GuestRing(_ram, pages);
        var addresses = pages.Select(page => _ram.Memory.TryGetAddress(page * 4096, 4096, out var address) ? address : 0).ToArray();
        return (guest, new RingPages(addresses));
    }
}
