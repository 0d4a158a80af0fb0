using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

public class VhdxMetadataTests
{
    private const string UnknownId = "abcdef01-0203-0405-0607-08090a0b0c0d";
    private const int Table = 2 * MiB;
    private const int Items = Table + 65536;

    private static readonly byte[] Good = new PlainVhdxBuilder { Blocks = new() { [1] = new(6, Pattern(1)) } }.Build();

    [Fact]
    public async Task A_sound_image_is_read_without_a_finding()
    {
        Assert.Empty(await ExamineAsync(Good));
        var metadata = await ReadAsync(Good);
        Assert.Equal((ImageKind.Dynamic, 4L * MiB, (uint)MiB, 512, 4096), (metadata.Kind, metadata.VirtualSize, metadata.BlockSize, metadata.LogicalSectorSize, metadata.PhysicalSectorSize));
        Assert.Equal("Plain builder", metadata.Creator);
        Assert.Equal(new Guid("20000001-0002-0003-0405-060708090a0b"), metadata.VirtualDiskId);
        Assert.Equal(ImageKind.Fixed, (await ReadAsync(new PlainVhdxBuilder { IsFixed = true }.Build())).Kind);
        var child = new PlainVhdxBuilder { IsFixed = true, Locator = [("parent_linkage", UnknownId), ("relative_path", "p")] };
        Assert.Equal(ImageKind.Differencing, (await ReadAsync(child.Build())).Kind);
    }

    [Theory]
    [InlineData(4U, true)]
    [InlineData(5U, true)]
    [InlineData(0U, false)]
    [InlineData(1U, false)]
    [InlineData(2U, false)]
    public async Task An_unknown_item_is_refused_by_name_where_it_is_required_and_left_alone_where_not(uint flags, bool isRefused)
    {
        var image = new PlainVhdxBuilder { ExtraItems = [(UnknownId, flags, [1, 2, 3])] }.Build();
        if (isRefused)
        {
            Assert.Contains(UnknownId, (await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(image))).Message, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(6, (await ReadAsync(image)).Items.Count);
            Assert.Equal(VhdxFindingId.MetadataItemUnknown, Assert.Single(await ExamineAsync(image)).Id);
        }
    }

    [Fact]
    public async Task Windows_items_outside_the_specification_are_known()
    {
        var image = new PlainVhdxBuilder
        {
            ExtraItems =
            [
                ("da02d7bc-3d3a-423c-ac88-2a36ab21479b", 6, new byte[8]), // geometry
                ("10e1ae8a-4b7e-4169-a40f-cd70de928393", 6, new byte[4096]), // label area of persistent memory
            ],
        }.Build();
        Assert.Empty(await ExamineAsync(image));
        var incomplete = new PlainVhdxBuilder { ExtraItems = [("71cc85f0-1b69-4e28-9558-c3bf83ae75d3", 0, [])] }.Build();
        Assert.Contains("incomplete", (await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(incomplete))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 4, 0x80000)] // block size
    [InlineData(0, 4, 0x180000)]
    [InlineData(0, 4, 0x20000000)]
    [InlineData(0, 4, 0)]
    [InlineData(8, 8, 0)] // disk size
    [InlineData(8, 8, 513)]
    [InlineData(8, 8, (64L << 40) + 512)]
    [InlineData(8, 8, -512)]
    [InlineData(16, 4, 0)] // logical sector size
    [InlineData(16, 4, 1024)]
    [InlineData(8, 8, 64L << 40)] // more than the BAT has entries for
    public async Task A_disk_that_cannot_be_is_refused_with_the_place_that_says_so(int item, int size, long value)
    {
        var image = Good.ToArray();
        PlainVhdxBytes.Number(image, Items + item, (ulong)value, size);
        var exception = await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        Assert.InRange(exception.FileOffset!.Value, Table, (3 * MiB) + 1);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Nothing_can_be_read_without_the_sizes(int index)
    {
        var image = Good.ToArray();
        image[Table + 32 + (32 * index)] ^= 1; // now another item, and a required one
        await Assert.ThrowsAnyAsync<ImageException>(() => ReadAsync(image));
        PlainVhdxBytes.Number(image, Table + 32 + (32 * index) + 24, 0, 4); // optional: left alone
        Assert.Contains("missing", (await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_physical_sector_size_or_disk_id_is_warned_of_and_no_more()
    {
        var image = Good.ToArray();
        foreach (var index in new[] { 3, 4 })
        {
            image[Table + 32 + (32 * index)] ^= 1;
            PlainVhdxBytes.Number(image, Table + 32 + (32 * index) + 24, 0, 4);
        }

        var metadata = await ReadAsync(image);
        Assert.Equal((4096, (Guid?)null), (metadata.PhysicalSectorSize, metadata.VirtualDiskId));
        Assert.Equal(2, (await ExamineAsync(image)).Count(finding => finding.Severity == FindingSeverity.Warning));
    }

    [Theory]
    [InlineData(16, 0UL)]
    [InlineData(16, 65535UL)]
    [InlineData(16, 0xFFFFFUL)]
    [InlineData(16, 0xFFFFFFFFUL)]
    [InlineData(20, 0x100001UL)]
    [InlineData(20, 0xFFFFFFFFUL)]
    [InlineData(20, 7UL)]
    public async Task An_item_that_cannot_be_where_the_table_says_is_refused(int field, ulong value)
    {
        var image = Good.ToArray();
        PlainVhdxBytes.Number(image, Table + 32 + 32 + field, value, 4); // of the disk size
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
    }

    [Fact]
    public async Task Tables_that_contradict_themselves_are_refused()
    {
        var image = Good.ToArray();
        image[Table] ^= 1;
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        image = Good.ToArray();
        PlainVhdxBytes.Number(image, Table + 10, 2048, 2);
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        image = Good.ToArray();
        Array.Copy(image, Table + 32, image, Table + 64, 16); // the file parameters twice
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
    }

    [Fact]
    public async Task Items_that_share_bytes_keep_writers_out()
    {
        var image = Good.ToArray();
        PlainVhdxBytes.Number(image, Table + 32 + (4 * 32) + 16, 65544, 4); // the disk id over the disk size
        Assert.Contains(await ExamineAsync(image), finding => finding is { Id: VhdxFindingId.MetadataItemOverlap, Refusal: FindingRefusal.Writing });
        await ReadAsync(image);
    }

    [Fact]
    public async Task Parent_locators_of_no_or_many_keys_are_told_apart_from_those_that_cannot_be()
    {
        List<(string, string)> keys = [("parent_linkage", UnknownId), ("relative_path", "p.vhdx")];
        keys.AddRange(Enumerable.Range(0, 254).Select(i => ($"key{i}", "value")));
        Assert.Equal(256, (await ReadAsync(new PlainVhdxBuilder { Locator = keys }.Build())).Parent!.Entries.Count);
        keys.Add(("one", "more"));
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(new PlainVhdxBuilder { Locator = keys }.Build()));

        var builder = new PlainVhdxBuilder { Locator = [("parent_linkage", UnknownId)] };
        var image = builder.Build();
        var item = Items + 40; // behind the other items
        PlainVhdxBytes.Number(image, item + 18, 0, 2);
        Assert.Empty((await ReadAsync(image)).Parent!.Linkages);
        image[item] ^= 1;
        Assert.Contains("is of the type", (await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(image))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(20, 4, 0)]
    [InlineData(20, 4, 0xFFFFFFFF)]
    [InlineData(24, 4, 0xFFFFFFF0)]
    [InlineData(28, 2, 0)]
    [InlineData(28, 2, 0xFFFF)]
    [InlineData(30, 2, 0xFFFF)]
    public async Task A_key_outside_the_parent_locator_is_warned_of_and_not_used(int field, int size, ulong value)
    {
        var image = new PlainVhdxBuilder { Locator = [("parent_linkage", UnknownId)] }.Build();
        PlainVhdxBytes.Number(image, Items + 40 + field, value, size);
        Assert.Contains(await ExamineAsync(image), finding => finding.Id == VhdxFindingId.ParentLocatorEntry);
        Assert.Empty((await ReadAsync(image)).Parent!.Entries);
    }

    [Fact]
    public async Task A_locator_without_a_parent_is_noted_and_a_parent_without_a_locator_refused()
    {
        var image = new PlainVhdxBuilder { Locator = [("parent_linkage", UnknownId), ("relative_path", "p")] }.Build();
        PlainVhdxBytes.Number(image, Items + 4, 0, 4);
        Assert.Equal(VhdxFindingId.ParentUnexpected, Assert.Single(await ExamineAsync(image)).Id);
        Assert.False((await ReadAsync(image)).HasParent);
        image = Good.ToArray();
        PlainVhdxBytes.Number(image, Items + 4, 2, 4);
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
    }

    [Fact]
    public async Task A_file_off_the_MiB_grid_is_noted_and_no_more()
    {
        byte[] image = [.. Good, .. new byte[512]];
        var finding = Assert.Single(await ExamineAsync(image));
        Assert.Equal((VhdxFindingId.FileLength, FindingSeverity.Note), (finding.Id, finding.Severity));
        Assert.Equal(ReadPlainly(Good), await ReadAllAsync(image));
    }
}
