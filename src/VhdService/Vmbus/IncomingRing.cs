using VhdService.Vmbus.Wire;

namespace VhdService.Vmbus;

/// <summary>What reading a ring found.</summary>
internal enum RingRead
{
    Empty,
    Packet,

    /// <summary>The guest broke the ring's rules: nothing more can be read from it.</summary>
    Broken,
}

/// <summary>
/// The ring from the guest, which this side reads. Used by one worker. What is judged is a private copy: the guest can change the ring at any moment.
/// </summary>
internal sealed class IncomingRing
{
    private readonly RingPages _pages;
    private readonly byte[] _packet; // the copy
    private int _read;      // where the next packet begins
    private int _published; // what the guest knows of it
    private int _write;     // what this side knows of the guest's writing

    /// <summary>Takes a ring as the guest left it when it opened the channel.</summary>
    /// <exception cref="ArgumentException">Its indices are none.</exception>
    public IncomingRing(RingPages pages)
    {
        _pages = pages;
        _packet = GC.AllocateUninitializedArray<byte>(Math.Min(VmbusLimits.PacketBytes, pages.Size));
        var read = pages.ReadIndex;
        var write = pages.WriteIndex;
        if (!pages.IsIndex(read) || !pages.IsIndex(write))
        {
            throw new ArgumentException($"the indices are {read} and {write}", nameof(pages));
        }

        _read = _published = _write = (int)read;
    }

    /// <summary>Whether packets wait that have not been read.</summary>
    public bool HasMore => _write != _read || _pages.WriteIndex != (uint)_read;

    /// <summary>Asks the guest not to signal: this side looks by itself.</summary>
    public void Mask()
    {
        _pages.InterruptMask = 1;
    }

    /// <summary>Asks the guest to signal when it writes into an empty ring. Look at <see cref="HasMore"/> afterwards: what came in between was not signalled.</summary>
    public void Unmask()
    {
        _pages.InterruptMask = 0;
        Interlocked.MemoryBarrier(); // the mask must be visible before the write index is read again
    }

    /// <summary>Copies the next packet and moves on behind it; the guest learns of that by <see cref="Publish"/>.</summary>
    /// <param name="packet">Descriptor and body, valid until the next read.</param>
    public RingRead TryRead(out ReadOnlySpan<byte> packet)
    {
        packet = default;
        if (_write == _read)
        {
            var write = _pages.WriteIndex;
            if (!_pages.IsIndex(write))
            {
                return RingRead.Broken;
            }

            _write = (int)write;
            if (_write == _read)
            {
                return RingRead.Empty;
            }
        }

        var available = _pages.Used(_read, _write);
        if (available < PacketDescriptor.Size + PacketDescriptor.TrailerSize)
        {
            return RingRead.Broken;
        }

        // The descriptor is copied once and judged; the body follows by the length that was judged.
        _pages.Read(_read, _packet.AsSpan(0, PacketDescriptor.Size));
        var descriptor = PacketDescriptor.Read(_packet);
        if (descriptor.Length < PacketDescriptor.Size
            || descriptor.Length > available - PacketDescriptor.TrailerSize
            || descriptor.Length > _packet.Length
            || descriptor.DataOffset < PacketDescriptor.Size
            || descriptor.DataOffset > descriptor.Length)
        {
            return RingRead.Broken;
        }

        _pages.Read(_pages.Advance(_read, PacketDescriptor.Size), _packet.AsSpan(PacketDescriptor.Size, descriptor.Length - PacketDescriptor.Size));
        _read = _pages.Advance(_read, descriptor.Length + PacketDescriptor.TrailerSize);
        packet = _packet.AsSpan(0, descriptor.Length);
        return RingRead.Packet;
    }

    /// <summary>Gives the guest the space of what was read.</summary>
    /// <returns>Whether to signal: the guest waits for space, and there is enough only now.</returns>
    public bool Publish()
    {
        if (_read == _published)
        {
            return false;
        }

        var before = _published;
        _published = _read;
        _pages.ReadIndex = (uint)_read;
        Interlocked.MemoryBarrier(); // the guest says what it waits for before it looks at the index
        var pending = _pages.PendingSendSize;
        if (pending == 0)
        {
            return false;
        }

        var write = _pages.WriteIndex;
        if (!_pages.IsIndex(write))
        {
            return false; // the next read finds that out
        }

        var freeBefore = (uint)(_pages.Size - _pages.Used(before, (int)write));
        var freeNow = (uint)(_pages.Size - _pages.Used(_read, (int)write));
        return freeBefore <= pending && freeNow > pending;
    }
}
