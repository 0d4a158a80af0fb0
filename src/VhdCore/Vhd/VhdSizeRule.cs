using VhdCore.Formats;

namespace VhdCore.Vhd;

/// <summary>
/// Which of a footer's sizes is the disk's. Virtual PC and old QEMU made disks of exactly their geometry; everybody else means CurrentSize, whose
/// geometry is up to a few MiB less.
/// </summary>
internal static class VhdSizeRule
{
    /// <summary>The disk's size in bytes as the footer has it, judged by nobody yet, and the rule in words.</summary>
    public static (ulong Size, string Rule) Choose(VhdFooter footer, VhdSizeChoice choice)
    {
        var chs = (ulong)footer.Geometry.Size;
        return choice switch
        {
            VhdSizeChoice.Chs => (chs, "the geometry (forced)"),
            VhdSizeChoice.Current => (footer.CurrentSize, "the current size (forced)"),
            _ when !IsSizedByGeometry(footer.CreatorApplication) => (footer.CurrentSize, $"the current size (creator '{footer.CreatorText}')"),
            _ when footer.Geometry == VhdGeometryCalculator.Largest => (footer.CurrentSize, $"the current size (creator '{footer.CreatorText}', but the geometry is the largest there is)"),
            _ when chs == 0 => (footer.CurrentSize, $"the current size (creator '{footer.CreatorText}', but the geometry is empty)"),
            _ => (chs, $"the geometry (creator '{footer.CreatorText}')"),
        };
    }

    /// <summary>Whether this creator's disks are as large as their geometry.</summary>
    public static bool IsSizedByGeometry(uint creatorApplication) =>
        creatorApplication is VhdCreatorApplication.VirtualPc or VhdCreatorApplication.Qemu;

    /// <summary>Whether every reader takes this creator's disks by their current size. QEMU before 10.0 knew only these.</summary>
    public static bool IsCurrentSizeForAll(uint creatorApplication) =>
        creatorApplication is VhdCreatorApplication.Windows or 0x7165_6D32 /* "qem2" */ or 0x6432_7620 /* "d2v " */
        || VhdCreatorApplication.IsTapdisk(creatorApplication);
}
