namespace VhdCore.Vhd;

/// <summary>A parent locator's Platform Code.</summary>
internal static class VhdPlatformCode
{
    /// <summary>Windows, relative to the child's folder, UTF-16LE.</summary>
    public const uint W2ru = 0x5732_7275;

    /// <summary>Windows, absolute, UTF-16LE. XenServer writes relative paths here too.</summary>
    public const uint W2ku = 0x5732_6B75;

    /// <summary>A file URL, UTF-8.</summary>
    public const uint MacX = 0x4D61_6358;

    /// <summary>A Mac OS alias: not text.</summary>
    public const uint Mac = 0x4D61_6320;

    /// <summary>Deprecated: Windows, relative, in the writer's code page.</summary>
    public const uint Wi2r = 0x5769_3272;

    /// <summary>Deprecated: Windows, absolute, in the writer's code page.</summary>
    public const uint Wi2k = 0x5769_326B;

    /// <summary>Whether the data is a path in some spelling.</summary>
    public static bool IsText(uint code) => code is W2ru or W2ku or MacX or Wi2r or Wi2k;
}
