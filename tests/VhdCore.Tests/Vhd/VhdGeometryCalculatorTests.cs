using VhdCore.Formats;
using VhdCore.Vhd;

namespace VhdCore.Tests.Vhd;

public sealed class VhdGeometryCalculatorTests
{
    [Theory]
    [InlineData(104448, 3, 4, 17)] // QEMU
    [InlineData(4194304, 120, 4, 17)] // Windows 10
    [InlineData(4212736, 121, 4, 17)] // QEMU
    [InlineData(16777216, 481, 4, 17)] // XenServer
    [InlineData(33554432, 963, 4, 17)] // XenServer
    [InlineData(67108864, 963, 8, 17)] // XenServer
    [InlineData(136365211648, 65278, 16, 255)] // Hyper-V
    [InlineData(65535L * 16 * 63 * 512, 16191, 16, 255)]
    [InlineData((65535L * 16 * 63 * 512) - 512, 65534, 16, 63)]
    [InlineData(136899993600, 65535, 16, 255)]
    [InlineData(2190433320960, 65535, 16, 255)]
    [InlineData(512, 0, 4, 17)]
    public void Sizes_have_the_geometry_that_other_programs_wrote(long size, int cylinders, int heads, int sectorsPerTrack)
    {
        Assert.Equal(new VhdGeometry((ushort)cylinders, (byte)heads, (byte)sectorsPerTrack), VhdGeometryCalculator.OfSize(size));
    }

    [Theory]
    [InlineData(1 << 30, 1073995776)] // as qemu-img create rounds
    [InlineData(16 << 20, 16781312)] // as Xen Orchestra rounds
    [InlineData(4177920, 4177920)]
    [InlineData(1, 34816)]
    public void Rounding_up_gives_the_next_size_that_a_geometry_covers(long size, long expected)
    {
        var (rounded, geometry) = VhdGeometryCalculator.RoundUpToGeometry(size);
        Assert.Equal((expected, expected), (rounded, geometry.Size));
    }

    [Fact]
    public void Beyond_the_largest_geometry_sizes_stay()
    {
        Assert.Equal((136899993600 + 512, VhdGeometryCalculator.Largest), VhdGeometryCalculator.RoundUpToGeometry(136899993600 + 1));
    }

    [Theory]
    [InlineData("win ", VhdSizeChoice.ByCreator, false)]
    [InlineData("tap\0", VhdSizeChoice.ByCreator, false)]
    [InlineData("caml", VhdSizeChoice.ByCreator, false)]
    [InlineData("wa\0\0", VhdSizeChoice.ByCreator, false)]
    [InlineData("vbox", VhdSizeChoice.ByCreator, false)]
    [InlineData("qem2", VhdSizeChoice.ByCreator, false)]
    [InlineData("d2v\0", VhdSizeChoice.ByCreator, false)]
    [InlineData("qemu", VhdSizeChoice.ByCreator, true)]
    [InlineData("vpc ", VhdSizeChoice.ByCreator, true)]
    [InlineData("vpc ", VhdSizeChoice.Current, false)]
    [InlineData("win ", VhdSizeChoice.Chs, true)]
    public void The_creator_says_which_size_is_the_disks_unless_the_caller_does(string creator, VhdSizeChoice choice, bool isGeometry)
    {
        var footer = new VhdFooter
        {
            CreatorApplication = ((uint)creator[0] << 24) | ((uint)creator[1] << 16) | ((uint)creator[2] << 8) | creator[3],
            CurrentSize = 4194304,
            Geometry = new VhdGeometry(120, 4, 17),
        };
        var (size, rule) = VhdSizeRule.Choose(footer, choice);
        Assert.Equal(isGeometry ? 4177920UL : 4194304, size);
        Assert.Contains(isGeometry ? "geometry" : "current size", rule, StringComparison.Ordinal);
    }

    [Fact]
    public void The_largest_geometry_never_is_the_size()
    {
        var footer = new VhdFooter { CreatorApplication = VhdCreatorApplication.VirtualPc, CurrentSize = 1UL << 40, Geometry = VhdGeometryCalculator.Largest };
        Assert.Equal(1UL << 40, VhdSizeRule.Choose(footer, VhdSizeChoice.ByCreator).Size);
    }
}
