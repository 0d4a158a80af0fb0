using System.Diagnostics;
using VhdService.Vmbus.Wire;
using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Vmbus;

/// <summary>How writing into a ring ended.</summary>
internal enum RingWrite
{
    Written,

    /// <summary>
    /// There is no room. The guest has been asked to signal when there is, but judges by what it knows of: publish, and try once more before sleeping.
    /// </summary>
    Full,

    /// <summary>The guest broke the ring's rules: nothing more can be written into it.</summary>
    Broken,
}

/// <summary>The ring to the guest, which this side writes. Used by one worker.</summary>
internal sealed class OutgoingRing
{
    private readonly RingPages _pages;
    private int _write;     // where the next packet goes
    private int _published; // what the guest knows of it
    private int _read;      // what this side knows of the guest's reading
    private bool _waits;    // pending_send_sz is set

    /// <summary>Takes a ring as the guest left it when it opened the channel, and says what this side knows.</summary>
    public OutgoingRing(RingPages pages)
    {
        _pages = pages;
        var write = pages.WriteIndex;
        var read = pages.ReadIndex;
        if (!pages.IsIndex(write) || !pages.IsIndex(read))
        {
            throw new ArgumentException($"the indices are {write} and {read}", nameof(pages));
        }

        _write = _published = (int)write;
        _read = (int)read;
        pages.SetFeatures();
    }

    /// <summary>Packets have been written that the guest does not know of.</summary>
    public bool HasUnpublished => _write != _published;

    /// <summary>Writes a packet; the guest learns of it by <see cref="Publish"/>.</summary>
    /// <param name="packet">Descriptor and body, a multiple of 8 bytes.</param>
    public RingWrite TryWrite(ReadOnlySpan<byte> packet)
    {
        Debug.Assert(packet.Length % 8 == 0, "packets are whole words");
        var need = packet.Length + PacketDescriptor.TrailerSize;
        var outcome = MakeRoom(need);
        if (outcome != RingWrite.Written)
        {
            return outcome;
        }

        Span<byte> trailer = stackalloc byte[PacketDescriptor.TrailerSize];
        WriteUInt64LittleEndian(trailer, (ulong)_write << 32);
        _pages.Write(_write, packet);
        _pages.Write(_pages.Advance(_write, packet.Length), trailer);
        _write = _pages.Advance(_write, need);
        return RingWrite.Written;
    }

    /// <summary>Lets the guest see what was written.</summary>
    /// <returns>Whether to signal: the ring was empty, and the guest has not asked to be left alone.</returns>
    public bool Publish()
    {
        if (_write == _published)
        {
            return false;
        }

        var before = (uint)_published;
        _published = _write;
        _pages.WriteIndex = (uint)_write;
        Interlocked.MemoryBarrier(); // the packets must be visible before the guest's state is looked at
        return _pages.InterruptMask == 0 && _pages.ReadIndex == before;
    }

    private RingWrite MakeRoom(int need)
    {
        // Never filled to the last byte: equal indices mean empty.
        if (_pages.Size - _pages.Used(_read, _write) > need)
        {
            return RingWrite.Written;
        }

        if (!TryRefresh())
        {
            return RingWrite.Broken;
        }

        if (_pages.Size - _pages.Used(_read, _write) <= need)
        {
            _pages.PendingSendSize = (uint)need;
            _waits = true;
            Interlocked.MemoryBarrier(); // the wish must be visible before the guest's index is read again
            if (!TryRefresh())
            {
                return RingWrite.Broken;
            }

            if (_pages.Size - _pages.Used(_read, _write) <= need)
            {
                return RingWrite.Full;
            }
        }

        if (_waits)
        {
            _waits = false;
            _pages.PendingSendSize = 0;
        }

        return RingWrite.Written;
    }

    private bool TryRefresh()
    {
        var read = _pages.ReadIndex;
        if (!_pages.IsIndex(read))
        {
            return false;
        }

        // What the guest has not been told of it cannot have read.
        if (_pages.Used((int)read, _published) > _pages.Used(_read, _published))
        {
            return false;
        }

        _read = (int)read;
        return true;
    }
}
