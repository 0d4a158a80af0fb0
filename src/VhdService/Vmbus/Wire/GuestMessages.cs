using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Vmbus.Wire;

/// <summary>Any message of the guest: an 8-byte header, of which the second half means nothing.</summary>
/// <param name="bytes">At least <see cref="Size"/> bytes.</param>
internal readonly ref struct GuestMessageView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 8; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public ChannelMessageType Type => (ChannelMessageType)ReadUInt32LittleEndian(_bytes);
}

/// <summary>InitiateContact.</summary>
internal readonly ref struct InitiateContactView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 40; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public VmbusVersion Version => new(ReadUInt32LittleEndian(_bytes[8..]));

    /// <summary>The processor that gets the messages of the bus.</summary>
    public uint TargetProcessor => ReadUInt32LittleEndian(_bytes[12..]);

    /// <summary>From version 5.0 on; before, these bytes name a page that nothing here needs.</summary>
    public byte Sint => _bytes[16];

    /// <summary>Virtual trust level, from version 5.0 on.</summary>
    public byte Vtl => _bytes[17];
}

/// <summary>OpenChannel.</summary>
internal readonly ref struct OpenChannelView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 148; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public uint Relid => ReadUInt32LittleEndian(_bytes[8..]);

    public uint OpenId => ReadUInt32LittleEndian(_bytes[12..]);

    public uint RingGpadl => ReadUInt32LittleEndian(_bytes[16..]);

    public uint TargetProcessor => ReadUInt32LittleEndian(_bytes[20..]);

    /// <summary>Pages of the first ring, the one from the guest; the other begins there.</summary>
    public uint DownstreamPageOffset => ReadUInt32LittleEndian(_bytes[24..]);
}

/// <summary>A message whose one field is a relid: CloseChannel and RelIdReleased.</summary>
internal readonly ref struct RelidView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 12; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public uint Relid => ReadUInt32LittleEndian(_bytes[8..]);
}

/// <summary>GpadlHeader: how much is to come, and the first of it.</summary>
internal readonly ref struct GpadlHeaderView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 20; // bytes, without ranges

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public uint Relid => ReadUInt32LittleEndian(_bytes[8..]);

    public uint Gpadl => ReadUInt32LittleEndian(_bytes[12..]);

    /// <summary>Bytes of all ranges, over all messages.</summary>
    public int RangeBufferLength => ReadUInt16LittleEndian(_bytes[16..]);

    public int RangeCount => ReadUInt16LittleEndian(_bytes[18..]);

    /// <summary>What of the ranges this message carries.</summary>
    public ReadOnlySpan<byte> Ranges => _bytes[Size..];
}

/// <summary>GpadlBody: more page numbers. Linux leaves its message number 0, so it means nothing.</summary>
internal readonly ref struct GpadlBodyView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 16; // bytes, without ranges

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public uint Gpadl => ReadUInt32LittleEndian(_bytes[12..]);

    public ReadOnlySpan<byte> Ranges => _bytes[Size..];
}

/// <summary>GpadlTeardown.</summary>
internal readonly ref struct GpadlTeardownView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 16; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public uint Gpadl => ReadUInt32LittleEndian(_bytes[12..]);
}

/// <summary>ModifyChannel.</summary>
internal readonly ref struct ModifyChannelView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 16; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public uint Relid => ReadUInt32LittleEndian(_bytes[8..]);

    public uint TargetProcessor => ReadUInt32LittleEndian(_bytes[12..]);
}
