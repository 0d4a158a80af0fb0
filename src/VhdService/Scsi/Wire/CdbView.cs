using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Scsi.Wire;

/// <summary>A command descriptor block: big-endian fields whose places follow from the length that the opcode's group has (SPC-3, 4.3).</summary>
/// <param name="bytes">16 bytes, zeros behind what the guest sent.</param>
internal readonly ref struct CdbView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 16; // bytes, the longest

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public ScsiOpcode Opcode => (ScsiOpcode)_bytes[0];

    /// <summary>Bytes that the opcode's group has: 6, 10, 12 or 16; 0 for a group without a fixed length.</summary>
    public int GroupLength => (_bytes[0] >> 5) switch
    {
        0 => 6,
        1 or 2 => 10,
        4 => 16,
        5 => 12,
        _ => 0,
    };

    /// <summary>The byte behind the opcode, where flags live.</summary>
    public byte Flags => _bytes[1];

    /// <summary>Bits 5 to 7 of the flags: protection information is asked for.</summary>
    public bool AsksForProtection => GroupLength != 6 && (_bytes[1] & 0xE0) != 0;

    /// <summary>Force unit access; not in 6-byte commands.</summary>
    public bool IsFua => GroupLength != 6 && (_bytes[1] & 0x08) != 0;

    /// <summary>EVPD of INQUIRY.</summary>
    public bool WantsVpd => (_bytes[1] & 0x01) != 0;

    /// <summary>The page of INQUIRY.</summary>
    public byte VpdPage => _bytes[2];

    /// <summary>The page of MODE SENSE; 3Fh is all of them.</summary>
    public byte ModePage => (byte)(_bytes[2] & 0x3F);

    /// <summary>PC of MODE SENSE: current, changeable, default, saved.</summary>
    public int ModePageControl => _bytes[2] >> 6;

    /// <summary>The subpage of MODE SENSE; FFh is all of them.</summary>
    public byte ModeSubpage => _bytes[3];

    /// <summary>SELECT REPORT of REPORT LUNS.</summary>
    public byte SelectReport => _bytes[2];

    /// <summary>Bits 0 to 4 of the flags.</summary>
    public int ServiceAction => _bytes[1] & 0x1F;

    /// <summary>BYTCHK of VERIFY.</summary>
    public int ByteCheck => (_bytes[1] >> 1) & 0b11;

    /// <summary>UNMAP of WRITE SAME.</summary>
    public bool WantsUnmap => (_bytes[1] & 0x08) != 0;

    /// <summary>NDOB of WRITE SAME (16): no data comes along, and zeros are meant.</summary>
    public bool HasNoData => (_bytes[1] & 0x01) != 0;

    /// <summary>The first block of a command on the medium.</summary>
    public ulong Lba => GroupLength switch
    {
        6 => ReadUInt32BigEndian(_bytes) & 0x1F_FFFF,
        16 => ReadUInt64BigEndian(_bytes[2..]),
        _ => ReadUInt32BigEndian(_bytes[2..]),
    };

    /// <summary>Blocks of a command on the medium. In 6-byte commands 0 means 256.</summary>
    public uint BlockCount => GroupLength switch
    {
        6 => _bytes[4] == 0 ? 256u : _bytes[4],
        10 => ReadUInt16BigEndian(_bytes[7..]),
        12 => ReadUInt32BigEndian(_bytes[6..]),
        _ => ReadUInt32BigEndian(_bytes[10..]),
    };

    /// <summary>Bytes that the sender has room for, of commands that answer with parameters.</summary>
    public uint AllocationLength => Opcode switch
    {
        ScsiOpcode.Inquiry => ReadUInt16BigEndian(_bytes[3..]),
        ScsiOpcode.RequestSense or ScsiOpcode.ModeSense6 => _bytes[4],
        ScsiOpcode.ModeSense10 => ReadUInt16BigEndian(_bytes[7..]),
        ScsiOpcode.ReportLuns => ReadUInt32BigEndian(_bytes[6..]),
        ScsiOpcode.ServiceActionIn16 => ReadUInt32BigEndian(_bytes[10..]),
        _ => 8, // READ CAPACITY (10)
    };

    /// <summary>Bytes of parameters that come with UNMAP.</summary>
    public int ParameterListLength => ReadUInt16BigEndian(_bytes[7..]);
}
