namespace VhdCore.Testing.Independent;

/// <summary>Where a reader looks for the footer.</summary>
internal enum PlainFooterRule
{
    /// <summary>The last 512 bytes, else the last 511, else the copy at 0.</summary>
    EndThenFront,

    /// <summary>The copy at 0; the end only for a fixed disk, which has none at 0. QEMU does so.</summary>
    FrontThenFixedEnd,

    /// <summary>The last 512 bytes and nothing else.</summary>
    StrictEnd,
}

/// <summary>Which of the footer's sizes is the disk's.</summary>
internal enum PlainSizeRule
{
    /// <summary>The geometry for the creators "vpc " and "qemu", unless it is the largest there is; CurrentSize for all others.</summary>
    ByCreator,

    /// <summary>CurrentSize for everyone.</summary>
    Current,
}

/// <summary>What sector bitmaps mean.</summary>
internal enum PlainBitmapRule
{
    /// <summary>A set bit is a sector that the block has.</summary>
    Honour,

    /// <summary>A block has all its sectors.</summary>
    Ignore,

    /// <summary>As libvhdi 20210425 reads them: once a bit of a byte is set, the bits behind it in that byte count as set too.</summary>
    RestOfByte,
}

/// <summary>How the independent reader reads.</summary>
internal sealed record PlainRules
{
    /// <summary>As the specification and good sense have it.</summary>
    public static PlainRules Default { get; } = new();

    /// <summary>Only the copy at 0, blocks whole whatever their bitmaps say, and no parents.</summary>
    public static PlainRules LikeQemu { get; } = new()
    {
        Footer = PlainFooterRule.FrontThenFixedEnd,
        Bitmaps = PlainBitmapRule.Ignore,
        IgnoreParents = true,
        IgnoreHeaderChecksum = true,
    };

    /// <summary>With libvhdi's reading of bitmaps.</summary>
    public static PlainRules LikeLibvhdi { get; } = new() { Size = PlainSizeRule.Current, Bitmaps = PlainBitmapRule.RestOfByte };

    /// <summary>A reader that knows no copy at 0.</summary>
    public static PlainRules StrictEnd { get; } = new() { Footer = PlainFooterRule.StrictEnd };

    public PlainFooterRule Footer { get; init; }

    /// <summary>Where to look in each image of a chain, leaf first; behind the list's end, <see cref="Footer"/> says it.</summary>
    public IReadOnlyList<PlainFooterRule> Footers { get; init; } = [];

    public PlainSizeRule Size { get; init; }

    public PlainBitmapRule Bitmaps { get; init; }

    public bool IgnoreParents { get; init; }

    public bool IgnoreParentId { get; init; }

    public bool IgnoreFooterChecksum { get; init; }

    public bool IgnoreHeaderChecksum { get; init; }
}

/// <summary>The independent reader refuses an image.</summary>
internal sealed class PlainFormatException(string message) : Exception(message);
