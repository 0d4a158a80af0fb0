using System.Buffers.Binary;

namespace VhdCore.Vhd;

/// <summary>A batmap header's bytes: libvhd's extension, 512 bytes behind the block allocation table.</summary>
internal readonly ref struct VhdBatmapHeaderView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 512; // bytes
    public const uint NewestVersion = 0x0001_0002;

    /// <summary>Sums of this version were made of signed bytes.</summary>
    public const uint SignedSumVersion = 0x0001_0001;

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public bool HasCookie => _bytes.StartsWith("tdbatmap"u8);
    public ulong MapOffset => BinaryPrimitives.ReadUInt64BigEndian(_bytes[8..]);
    public uint MapSectorCount => BinaryPrimitives.ReadUInt32BigEndian(_bytes[16..]);
    public uint Version => BinaryPrimitives.ReadUInt32BigEndian(_bytes[20..]);

    /// <summary>Of the map's bytes, not of the header's.</summary>
    public uint Checksum => BinaryPrimitives.ReadUInt32BigEndian(_bytes[24..]);
    public byte Marker => _bytes[28];
    public byte KeyHashCookie => _bytes[29];

    /// <summary>The fields, outliving the bytes.</summary>
    public VhdBatmapHeader ToHeader() => new()
    {
        MapOffset = MapOffset,
        MapSectorCount = MapSectorCount,
        Version = Version,
        Checksum = Checksum,
        Marker = Marker,
        HasKeyHash = KeyHashCookie != 0,
    };
}
