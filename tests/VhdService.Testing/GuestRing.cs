using System.Buffers.Binary;

namespace VhdService.Testing;

/// <summary>The guest's half of a ring buffer. A channel has one that it writes and one that it reads.</summary>
internal sealed class GuestRing
{
    private readonly GuestRam _ram;
    private readonly ulong[] _pages;
    private readonly ulong _control;

    /// <summary>A ring in pages: control, then data.</summary>
    public GuestRing(GuestRam ram, ReadOnlySpan<ulong> pages)
    {
        _ram = ram;
        _control = pages[0] * GuestRam.PageSize;
        _pages = pages[1..].ToArray();
        Size = _pages.Length * GuestRam.PageSize;
        ram.Page(pages[0]).Clear();
    }

    public int Size { get; }

    public ref uint In => ref _ram.U32(_control);

    public ref uint Out => ref _ram.U32(_control + 4);

    public ref uint InterruptMask => ref _ram.U32(_control + 8);

    public ref uint PendingSendSize => ref _ram.U32(_control + 12);

    public ref uint FeatureBits => ref _ram.U32(_control + 64);

    public int BytesToRead => Distance(Volatile.Read(ref Out), Volatile.Read(ref In));

    public int BytesFree => Size - BytesToRead;

    /// <summary>Writes a packet: 16 bytes of descriptor, what describes memory, then the payload.</summary>
    /// <param name="packet">All of it.</param>
    /// <param name="signal">Whether the other side has to be told.</param>
    /// <returns>False when there is no room.</returns>
    public bool TryWrite(ReadOnlySpan<byte> packet, out bool signal)
    {
        signal = false;
        var total = packet.Length + 8;
        if (BytesFree <= total)
        {
            return false;
        }

        var start = In;
        var at = Copy(start, packet);
        Span<byte> trailer = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(trailer, (ulong)start << 32);
        at = Copy(at, trailer);
        Interlocked.MemoryBarrier();
        Volatile.Write(ref In, at);
        Interlocked.MemoryBarrier();
        signal = Volatile.Read(ref InterruptMask) == 0 && Volatile.Read(ref Out) == start;
        return true;
    }

    /// <summary>Reads a packet.</summary>
    /// <param name="signal">Whether the other side waits for the room that this made.</param>
    /// <returns>Descriptor and body; null when the ring is empty.</returns>
    public byte[]? TryRead(out bool signal)
    {
        signal = false;
        if (BytesToRead == 0)
        {
            return null;
        }

        var packet = PeekHeader(out var length);
        Read(Out, packet);
        signal = Advance(length + 8);
        return packet;
    }

    /// <summary>Reads a packet into memory that the caller has, and gives nothing to the collector.</summary>
    public int TryRead(Span<byte> into, out bool signal)
    {
        signal = false;
        if (BytesToRead == 0)
        {
            return 0;
        }

        Read(Out, into[..16]);
        var length = BinaryPrimitives.ReadUInt16LittleEndian(into[4..]) * 8;
        Read(Out, into[..length]);
        signal = Advance(length + 8);
        return length;
    }

    /// <summary>Puts bytes into the data area as they are, going round.</summary>
    public uint Copy(uint at, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var inPage = (int)(at % GuestRam.PageSize);
            var run = Math.Min(bytes.Length, GuestRam.PageSize - inPage);
            bytes[..run].CopyTo(_ram.Page(_pages[at / GuestRam.PageSize])[inPage..]);
            bytes = bytes[run..];
            at = Move(at, run);
        }

        return at;
    }

    // As Linux judges: by what is free now, with all that the other side has written meanwhile, and what was free without this.
    private bool Advance(int by)
    {
        Interlocked.MemoryBarrier();
        Volatile.Write(ref Out, Move(Out, by));
        Interlocked.MemoryBarrier();
        var pending = Volatile.Read(ref PendingSendSize);
        if (pending == 0)
        {
            return false;
        }

        var free = BytesFree;
        return free - by <= pending && free > pending;
    }

    private byte[] PeekHeader(out int length)
    {
        Span<byte> header = stackalloc byte[16];
        Read(Out, header);
        length = BinaryPrimitives.ReadUInt16LittleEndian(header[4..]) * 8;
        if (length < 16 || length + 8 > BytesToRead)
        {
            throw new InvalidOperationException($"The host wrote a packet of {length} bytes, and {BytesToRead} are there.");
        }

        return new byte[length];
    }

    private void Read(uint at, Span<byte> into)
    {
        while (into.Length > 0)
        {
            var inPage = (int)(at % GuestRam.PageSize);
            var run = Math.Min(into.Length, GuestRam.PageSize - inPage);
            _ram.Page(_pages[at / GuestRam.PageSize]).Slice(inPage, run).CopyTo(into);
            into = into[run..];
            at = Move(at, run);
        }
    }

    private uint Move(uint at, int by) => (uint)(((long)at + by) % Size);

    private int Distance(uint from, uint to) => to >= from ? (int)(to - from) : Size - (int)(from - to);
}
