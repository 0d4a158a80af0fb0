using VhdService.HyperV;

namespace VhdService.Vmbus;

/// <summary>A ring's memory: a control page, and data pages that need not follow each other.</summary>
internal sealed unsafe class RingPages
{
    public const int MinPages = 2; // control and data

    private const int WriteIndexOffset = 0;
    private const int ReadIndexOffset = 4;
    private const int InterruptMaskOffset = 8;
    private const int PendingSendSizeOffset = 12;
    private const int FeatureBitsOffset = 64;
    private const uint PendingSendSizeIsSupported = 1;

    private readonly nint[] _dataPages;
    private readonly byte* _control;
    private readonly byte* _data; // where the data lies in one piece; otherwise null

    /// <summary>Describes a ring.</summary>
    /// <param name="pages">Where its pages lie; at least <see cref="MinPages"/>.</param>
    public RingPages(ReadOnlySpan<nint> pages)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(pages.Length, MinPages);
        _control = (byte*)pages[0];
        _dataPages = pages[1..].ToArray();
        Size = _dataPages.Length * GuestMemoryExtensions.PageSize;
        var isOnePiece = true;
        for (var page = 1; page < _dataPages.Length; page++)
        {
            isOnePiece &= _dataPages[page] == _dataPages[page - 1] + GuestMemoryExtensions.PageSize;
        }

        _data = isOnePiece ? (byte*)_dataPages[0] : null;
    }

    /// <summary>Bytes of data; a multiple of 4096, and not always a power of two.</summary>
    public int Size { get; }

    // Safety, for all of these: the control page is guest memory, and the offsets lie in it, aligned.

    /// <summary>Where the next byte will be written, as the writer says.</summary>
    public uint WriteIndex
    {
        get => Volatile.Read(ref *(uint*)(_control + WriteIndexOffset));
        set => Volatile.Write(ref *(uint*)(_control + WriteIndexOffset), value);
    }

    /// <summary>Where the next byte will be read, as the reader says.</summary>
    public uint ReadIndex
    {
        get => Volatile.Read(ref *(uint*)(_control + ReadIndexOffset));
        set => Volatile.Write(ref *(uint*)(_control + ReadIndexOffset), value);
    }

    /// <summary>The reader looks by itself, and wants no signals.</summary>
    public uint InterruptMask
    {
        get => Volatile.Read(ref *(uint*)(_control + InterruptMaskOffset));
        set => Volatile.Write(ref *(uint*)(_control + InterruptMaskOffset), value);
    }

    /// <summary>Bytes that the writer waits for; 0 while it does not.</summary>
    public uint PendingSendSize
    {
        get => Volatile.Read(ref *(uint*)(_control + PendingSendSizeOffset));
        set => Volatile.Write(ref *(uint*)(_control + PendingSendSizeOffset), value);
    }

    /// <summary>Says that this side's readers and writers know <see cref="PendingSendSize"/>.</summary>
    public void SetFeatures() => Volatile.Write(ref *(uint*)(_control + FeatureBitsOffset), PendingSendSizeIsSupported);

    /// <summary>Whether an index may be one: below the size, and a multiple of 8.</summary>
    public bool IsIndex(uint index) => index < (uint)Size && index % 8 == 0;

    /// <summary>Copies data out, going on at the start behind the end.</summary>
    /// <param name="offset">Below <see cref="Size"/>.</param>
    /// <param name="into">At most <see cref="Size"/> bytes.</param>
    public void Read(int offset, Span<byte> into)
    {
        while (into.Length > 0)
        {
            var run = RunAt(offset, into.Length);
            run.CopyTo(into);
            into = into[run.Length..];
            offset = Advance(offset, run.Length);
        }
    }

    /// <summary>Copies data in, going on at the start behind the end.</summary>
    /// <inheritdoc cref="Read"/>
    public void Write(int offset, ReadOnlySpan<byte> from)
    {
        while (from.Length > 0)
        {
            var run = RunAt(offset, from.Length);
            from[..run.Length].CopyTo(run);
            from = from[run.Length..];
            offset = Advance(offset, run.Length);
        }
    }

    /// <summary>The index <paramref name="length"/> bytes behind another.</summary>
    public int Advance(int index, int length)
    {
        var next = index + length;
        return next >= Size ? next - Size : next;
    }

    /// <summary>Bytes between two indices, read to write.</summary>
    public int Used(int readIndex, int writeIndex) => writeIndex >= readIndex ? writeIndex - readIndex : Size - (readIndex - writeIndex);

    private Span<byte> RunAt(int offset, int length)
    {
        if (_data is not null)
        {
            // Safety: offset is below Size, and the run ends at Size at the latest; the pages are guest memory.
            return new Span<byte>(_data + offset, Math.Min(length, Size - offset));
        }

        var inPage = offset % GuestMemoryExtensions.PageSize;
        // Safety: inside one page, which is guest memory.
        return new Span<byte>((byte*)_dataPages[offset / GuestMemoryExtensions.PageSize] + inPage, Math.Min(length, GuestMemoryExtensions.PageSize - inPage));
    }
}
