namespace VhdCore.Vhd;

/// <summary>Values of the footer's Creator Application and Creator Version that other fields' meaning depends on.</summary>
internal static class VhdCreatorApplication
{
    public const uint Windows = 0x7769_6E20; // "win "
    public const uint VirtualPc = 0x7670_6320; // "vpc "
    public const uint Qemu = 0x7165_6D75; // "qemu"
    public const uint Windows10Version = 0x000A_0000;
    public const uint WindowsHostOs = 0x5769_326B; // "Wi2k"
    public const uint Tapdisk01 = 0x0000_0001; // bitmaps are little-endian
    public const uint Tapdisk11 = 0x0001_0001;

    /// <summary>XenServer's tapdisk and libvhd: "tap" and any fourth byte.</summary>
    public static bool IsTapdisk(uint creatorApplication) => creatorApplication >> 8 == 0x0074_6170;
}
