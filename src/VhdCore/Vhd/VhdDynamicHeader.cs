namespace VhdCore.Vhd;

/// <summary>A dynamic disk header's fields as they stand in the file ("Dynamic Disk Header Format").</summary>
internal sealed record VhdDynamicHeader
{
    public ulong DataOffset { get; init; } = ulong.MaxValue;

    /// <summary>Bytes from the file's start to the block allocation table.</summary>
    public ulong TableOffset { get; init; }

    public uint HeaderVersion { get; init; } = 0x0001_0000;

    /// <summary>Entries in the table; may be more than the disk has blocks.</summary>
    public uint MaxTableEntries { get; init; }

    /// <summary>Bytes in a block, without its sector bitmap.</summary>
    public uint BlockSize { get; init; }

    public uint Checksum { get; init; }

    public bool ChecksumIsValid { get; init; }

    /// <summary>Sixteen raw bytes. All zero in a child of a raw file (XenServer).</summary>
    public Guid ParentUniqueId { get; init; }

    /// <summary>The parent's modification time, in seconds since 2000-01-01 00:00 UTC.</summary>
    public uint ParentTimestamp { get; init; }

    /// <summary>The parent's name or full path; unpaired surrogates are kept.</summary>
    public string ParentUnicodeName { get; init; } = "";

    /// <summary>Eight entries, in the file's order.</summary>
    public IReadOnlyList<VhdParentLocatorEntry> ParentLocators { get; init; } = [];
}

/// <summary>One of the header's eight parent locator entries.</summary>
/// <param name="PlatformCode">Four characters, first in the highest byte: W2ru, W2ku, MacX, Mac, Wi2r, Wi2k; 0 for an unused entry.</param>
/// <param name="PlatformDataSpace">Bytes or sectors; writers disagree.</param>
/// <param name="PlatformDataLength">Bytes of locator data.</param>
/// <param name="PlatformDataOffset">Bytes from the file's start to the locator data.</param>
internal readonly record struct VhdParentLocatorEntry(uint PlatformCode, uint PlatformDataSpace, uint PlatformDataLength, ulong PlatformDataOffset);
