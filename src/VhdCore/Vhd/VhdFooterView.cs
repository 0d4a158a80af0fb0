using System.Buffers.Binary;
using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>A footer's bytes ("Hard Disk Footer Format"). A footer of 511 bytes is read with a zero behind it.</summary>
internal readonly ref struct VhdFooterView(ReadOnlySpan<byte> bytes)
{
    internal const int ChecksumOffset = 64;
    internal const int UniqueIdOffset = 68;
    internal const int SavedStateOffset = 84;
    internal const int HiddenOffset = 85;

    private readonly ReadOnlySpan<byte> _bytes = bytes[..VhdLayout.FooterSize];

    /// <summary>The specification's cookie, or libvhd's for an image in the middle of a journaled resize.</summary>
    public bool HasCookie => _bytes.StartsWith("conectix"u8) || IsPoisoned;
    public bool IsPoisoned => _bytes.StartsWith("v_poison"u8);
    public uint Features => BinaryPrimitives.ReadUInt32BigEndian(_bytes[8..]);
    public uint FileFormatVersion => BinaryPrimitives.ReadUInt32BigEndian(_bytes[12..]);
    public ulong DataOffset => BinaryPrimitives.ReadUInt64BigEndian(_bytes[16..]);
    public uint Timestamp => BinaryPrimitives.ReadUInt32BigEndian(_bytes[24..]);
    public uint CreatorApplication => BinaryPrimitives.ReadUInt32BigEndian(_bytes[28..]);
    public uint CreatorVersion => BinaryPrimitives.ReadUInt32BigEndian(_bytes[32..]);
    public uint CreatorHostOs => BinaryPrimitives.ReadUInt32BigEndian(_bytes[36..]);
    public ulong OriginalSize => BinaryPrimitives.ReadUInt64BigEndian(_bytes[40..]);
    public ulong CurrentSize => BinaryPrimitives.ReadUInt64BigEndian(_bytes[48..]);
    public VhdGeometry Geometry => new(BinaryPrimitives.ReadUInt16BigEndian(_bytes[56..]), _bytes[58], _bytes[59]);
    public VhdDiskType DiskType => (VhdDiskType)BinaryPrimitives.ReadUInt32BigEndian(_bytes[60..]);
    public uint Checksum => BinaryPrimitives.ReadUInt32BigEndian(_bytes[ChecksumOffset..]);
    public Guid UniqueId => new(_bytes.Slice(UniqueIdOffset, 16), bigEndian: true);
    public byte SavedState => _bytes[SavedStateOffset];
    public byte Hidden => _bytes[HiddenOffset];

    public uint ComputeChecksum() => OnesComplementSum.ExcludingField(_bytes, ChecksumOffset);

    /// <summary>
    /// Early tapdisk (creator version 0.1 and 1.1) set the hidden byte without summing again, so there the sum may be the one with that byte zero.
    /// </summary>
    public bool ChecksumIsValid()
    {
        var sum = ComputeChecksum();
        return sum == Checksum || (IsEarlyTapdisk && unchecked(sum + Hidden) == Checksum);
    }

    /// <summary>Written by tapdisk before libvhd: the copy at 0 is the one that its tools kept true.</summary>
    public bool IsEarlyTapdisk => VhdCreatorApplication.IsTapdisk(CreatorApplication)
        && CreatorVersion is VhdCreatorApplication.Tapdisk01 or VhdCreatorApplication.Tapdisk11;

    /// <summary>The fields, outliving the bytes.</summary>
    public VhdFooter ToFooter() => new()
    {
        IsPoisoned = IsPoisoned,
        Features = Features,
        FileFormatVersion = FileFormatVersion,
        DataOffset = DataOffset,
        Timestamp = Timestamp,
        CreatorApplication = CreatorApplication,
        CreatorVersion = CreatorVersion,
        CreatorHostOs = CreatorHostOs,
        OriginalSize = OriginalSize,
        CurrentSize = CurrentSize,
        Geometry = Geometry,
        DiskType = DiskType,
        Checksum = Checksum,
        ChecksumIsValid = ChecksumIsValid(),
        UniqueId = UniqueId,
        SavedState = SavedState != 0,
        IsHidden = Hidden != 0,
    };
}
