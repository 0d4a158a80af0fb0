using VhdCore.Formats;
using VhdCore.Vhd;

namespace VhdCore.Tests.Vhd;

public sealed class VhdBatValidatorTests
{
    private const uint Unused = VhdLayout.UnusedEntry;
    private const int BlockSize = 4096; // bytes: 8 sectors and one of bitmap
    private const int FirstSector = 4; // behind the footer's copy, the header and a table of up to 128 entries
    private const int SlotSectors = 9;

    [Fact]
    public void Blocks_that_touch_are_possible_in_any_order()
    {
        Assert.Null(First([FirstSector, FirstSector + SlotSectors, Unused, FirstSector + (2 * SlotSectors)]));
        Assert.Null(First([FirstSector + (2 * SlotSectors), FirstSector, FirstSector + SlotSectors]));
        Assert.Null(First([Unused, Unused]));
    }

    [Theory]
    [InlineData(FirstSector + SlotSectors - 1)]
    [InlineData(FirstSector + 1)]
    [InlineData(FirstSector)]
    public void Blocks_that_share_a_sector_are_not(int second)
    {
        Assert.Equal(VhdBatProblemKind.Overlap, First([FirstSector, (uint)second])?.Kind);
        Assert.Equal(VhdBatProblemKind.Overlap, First([(uint)second, FirstSector])?.Kind);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_block_over_the_metadata_is_not_possible(int sector)
    {
        Assert.Equal(new VhdBatProblem(VhdBatProblemKind.InMetadata, 1, -1, sector * 512), First([FirstSector, (uint)sector]));
    }

    [Theory]
    [InlineData(FirstSector + SlotSectors, null)]
    [InlineData(FirstSector + SlotSectors - 1, VhdBatProblemKind.CutShort)]
    [InlineData(FirstSector + 2, VhdBatProblemKind.CutShort)]
    [InlineData(FirstSector + 1, VhdBatProblemKind.BeyondEnd)]
    [InlineData(FirstSector, VhdBatProblemKind.BeyondEnd)]
    internal void The_end_of_the_data_may_cut_into_a_block_but_not_before_it(int dataSectors, VhdBatProblemKind? kind)
    {
        foreach (var hasFooter in new[] { true, false })
        {
            var metadata = Metadata(2) with { EndFooterOffset = hasFooter ? dataSectors * 512 : -1 };
            var fileLength = (dataSectors + (hasFooter ? 1 : 0)) * 512;
            var problem = VhdBatValidator.FirstProblem([FirstSector, Unused], metadata, fileLength);
            Assert.Equal(kind == VhdBatProblemKind.BeyondEnd ? kind : null, problem?.Kind);
            Assert.Equal(kind, VhdBatValidator.AllProblems([FirstSector, Unused], metadata, fileLength).Listed.Cast<VhdBatProblem?>().FirstOrDefault()?.Kind);
        }
    }

    [Fact]
    public void A_last_block_that_the_disk_does_not_fill_takes_only_what_the_disk_has()
    {
        var metadata = Metadata(2) with { VirtualSize = BlockSize + 512 };
        Assert.Null(VhdBatValidator.FirstProblem([FirstSector + 2, FirstSector], metadata, 1 << 20));
        Assert.Equal(VhdBatProblemKind.Overlap, VhdBatValidator.FirstProblem([FirstSector + 1, FirstSector], metadata, 1 << 20)?.Kind);
    }

    [Fact]
    public void The_highest_entry_lies_behind_every_file()
    {
        Assert.Equal(VhdBatProblemKind.BeyondEnd, VhdBatValidator.FirstProblem([0xFFFF_FFFE], Metadata(1), 0x1FF_FFFF_FC00)?.Kind);
    }

    [Fact]
    public void A_thousand_problems_of_a_kind_are_listed_and_the_rest_counted()
    {
        var entries = new uint[5000];
        Array.Fill(entries, (uint)FirstSector + 100);
        var problems = VhdBatValidator.AllProblems(entries, Metadata(entries.Length), 1 << 30);
        Assert.Equal(4999, problems.Count(VhdBatProblemKind.Overlap));
        Assert.Equal(1000, problems.Listed.Count);
    }

    [Fact]
    public void Random_tables_are_judged_as_by_comparing_every_pair()
    {
        const int seed = 20_250_301;
        var random = new Random(seed);
        for (var round = 0; round < 2000; round++)
        {
            var entries = new uint[random.Next(1, 12)];
            for (var i = 0; i < entries.Length; i++)
            {
                entries[i] = random.Next(4) == 0 ? Unused : (uint)(FirstSector + random.Next(0, 150));
            }

            var metadata = Metadata(entries.Length) with { VirtualSize = ((long)entries.Length * BlockSize) - (random.Next(8) * 512) };
            var overlaps = 0;
            for (var i = 0; i < entries.Length; i++)
            {
                for (var j = 0; j < i; j++)
                {
                    overlaps += entries[i] != Unused && entries[j] != Unused
                        && entries[i] < entries[j] + Sectors(metadata, j) && entries[j] < entries[i] + Sectors(metadata, i) ? 1 : 0;
                }
            }

            Assert.True((overlaps > 0) == (VhdBatValidator.FirstProblem(entries, metadata, 1 << 20) is not null), $"seed {seed}, round {round}");
            Assert.True((overlaps > 0) == (VhdBatValidator.AllProblems(entries, metadata, 1 << 20).Count(VhdBatProblemKind.Overlap) > 0), $"seed {seed}, round {round}");
        }
    }

    [Fact]
    public void Blocks_over_the_batmap_or_a_locator_do_not_keep_an_image_from_being_read()
    {
        var metadata = Metadata(1) with { Batmap = new VhdBatmapHeader { MapOffset = 5 * 512, MapSectorCount = 1 }, BatmapHeaderOffset = 4 * 512 };
        Assert.Null(VhdBatValidator.FirstProblem([5], metadata, 1 << 20));
        Assert.Equal(1, VhdBatValidator.AllProblems([5], metadata, 1 << 20).Count(VhdBatProblemKind.InAuxiliary));
        Assert.Equal(0, VhdBatValidator.AllProblems([6], metadata, 1 << 20).Count(VhdBatProblemKind.InAuxiliary));
    }

    private static uint Sectors(VhdMetadata metadata, int index) => (uint)(1 + (metadata.UsedBlockSize(index) / 512));

    private static VhdBatProblem? First(uint[] entries) => VhdBatValidator.FirstProblem(entries, Metadata(entries.Length), 1 << 20);

    private static VhdMetadata Metadata(int blockCount) => new()
    {
        Footer = new VhdFooter { DiskType = VhdDiskType.Dynamic },
        EndFooterOffset = -1,
        Header = new VhdDynamicHeader { TableOffset = 1536, MaxTableEntries = (uint)Math.Min(blockCount, 128), BlockSize = BlockSize },
        HeaderOffset = 512,
        Kind = ImageKind.Dynamic,
        VirtualSize = (long)blockCount * BlockSize,
        SizeRule = "the current size",
        BlockCount = blockCount,
    };
}
