using System.Buffers.Binary;
using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>A dynamic disk header's bytes ("Dynamic Disk Header Format").</summary>
internal readonly ref struct VhdDynamicHeaderView(ReadOnlySpan<byte> bytes)
{
    internal const int ChecksumOffset = 36;
    internal const int ParentUniqueIdOffset = 40;
    internal const int ParentUnicodeNameOffset = 64;
    internal const int ParentUnicodeNameSize = 512; // bytes
    internal const int ParentLocatorsOffset = 576;
    internal const int ParentLocatorCount = 8;
    internal const int ParentLocatorSize = 24; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes[..VhdLayout.HeaderSize];

    public bool HasCookie => _bytes.StartsWith("cxsparse"u8);
    public ulong DataOffset => BinaryPrimitives.ReadUInt64BigEndian(_bytes[8..]);
    public ulong TableOffset => BinaryPrimitives.ReadUInt64BigEndian(_bytes[16..]);
    public uint HeaderVersion => BinaryPrimitives.ReadUInt32BigEndian(_bytes[24..]);
    public uint MaxTableEntries => BinaryPrimitives.ReadUInt32BigEndian(_bytes[28..]);
    public uint BlockSize => BinaryPrimitives.ReadUInt32BigEndian(_bytes[32..]);
    public uint Checksum => BinaryPrimitives.ReadUInt32BigEndian(_bytes[ChecksumOffset..]);
    public Guid ParentUniqueId => new(_bytes.Slice(ParentUniqueIdOffset, 16), bigEndian: true);
    public uint ParentTimestamp => BinaryPrimitives.ReadUInt32BigEndian(_bytes[56..]);
    public string ParentUnicodeName => VhdText.FromUtf16(_bytes.Slice(ParentUnicodeNameOffset, ParentUnicodeNameSize), bigEndian: true);

    public VhdParentLocatorEntry ParentLocator(int index)
    {
        var entry = _bytes.Slice(ParentLocatorsOffset + (index * ParentLocatorSize), ParentLocatorSize);
        return new VhdParentLocatorEntry(
            PlatformCode: BinaryPrimitives.ReadUInt32BigEndian(entry),
            PlatformDataSpace: BinaryPrimitives.ReadUInt32BigEndian(entry[4..]),
            PlatformDataLength: BinaryPrimitives.ReadUInt32BigEndian(entry[8..]),
            PlatformDataOffset: BinaryPrimitives.ReadUInt64BigEndian(entry[16..]));
    }

    public uint ComputeChecksum() => OnesComplementSum.ExcludingField(_bytes, ChecksumOffset);

    /// <summary>The fields, outliving the bytes.</summary>
    public VhdDynamicHeader ToHeader()
    {
        var locators = new VhdParentLocatorEntry[ParentLocatorCount];
        for (var i = 0; i < locators.Length; i++)
        {
            locators[i] = ParentLocator(i);
        }

        return new VhdDynamicHeader
        {
            DataOffset = DataOffset,
            TableOffset = TableOffset,
            HeaderVersion = HeaderVersion,
            MaxTableEntries = MaxTableEntries,
            BlockSize = BlockSize,
            Checksum = Checksum,
            ChecksumIsValid = Checksum == ComputeChecksum(),
            ParentUniqueId = ParentUniqueId,
            ParentTimestamp = ParentTimestamp,
            ParentUnicodeName = ParentUnicodeName,
            ParentLocators = locators,
        };
    }
}
