using VhdCore.Primitives;
using VhdCore.Vhd;

namespace VhdCore.Tests.Vhd;

public sealed class VhdFieldTests
{
    [Fact]
    public void The_checksum_is_the_complement_of_the_sum()
    {
        Assert.Equal(0xFFFF_FFFF, OnesComplementSum.Of([]));
        Assert.Equal(0xFFFF_FFFF - 513, OnesComplementSum.Of([255, 255, 3]));
        Assert.Equal(0xFFFF_FFFF - 4, OnesComplementSum.ExcludingField([1, 9, 9, 9, 9, 3], 1));
    }

    [Theory]
    [InlineData(1970, 0)]
    [InlineData(2000, 0)]
    [InlineData(2024, 757382400)]
    [InlineData(2200, uint.MaxValue)]
    public void Times_count_seconds_from_2000_and_stay_inside_the_field(int year, uint timestamp)
    {
        Assert.Equal(timestamp, VhdTimestamp.From(new DateTimeOffset(year, 1, 1, 0, 0, 0, TimeSpan.Zero)));
    }

    [Fact]
    public void A_timestamp_names_a_moment_up_to_2136()
    {
        Assert.Equal(new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero), VhdTimestamp.ToTime(0));
        Assert.Equal(2136, VhdTimestamp.ToTime(uint.MaxValue).Year);
    }

    [Theory]
    [InlineData(512, 512)]
    [InlineData(2 << 20, 512)]
    [InlineData(4 << 20, 1024)]
    [InlineData(256 << 20, 65536)]
    public void A_bitmap_takes_whole_sectors(int blockSize, int bitmapSize)
    {
        Assert.Equal(bitmapSize, VhdLayout.BitmapSize(blockSize));
    }

    [Fact]
    public void Text_keeps_unpaired_surrogates_in_both_directions()
    {
        const string text = "a\uDC00\uD800z";
        Assert.Equal(text, VhdText.FromUtf16(VhdText.ToUtf16LittleEndian(text), bigEndian: false));
    }

    [Fact]
    public void Every_field_of_a_footer_and_a_header_survives_writing_and_reading()
    {
        var footer = new VhdFooter
        {
            Features = 3,
            FileFormatVersion = 0x0001_0001,
            DataOffset = 0x0102_0304_0506_0708,
            Timestamp = 0x1112_1314,
            CreatorApplication = 0x2122_2324,
            CreatorVersion = 0x3132_3334,
            CreatorHostOs = 0x4142_4344,
            OriginalSize = 0x5152_5354_5556_5758,
            CurrentSize = 0x6162_6364_6566_6768,
            Geometry = new VhdGeometry(0x7172, 0x73, 0x74),
            DiskType = VhdDiskType.Differencing,
            UniqueId = Guid.Parse("81828384-8586-8788-898a-8b8c8d8e8f90"),
            SavedState = true,
            IsHidden = true,
        };
        var bytes = new byte[1024];
        VhdFooterWriter.Write(footer, bytes);
        var view = new VhdFooterView(bytes);
        Assert.Equal(footer with { Checksum = view.Checksum, ChecksumIsValid = true }, view.ToFooter());

        var header = new VhdDynamicHeader
        {
            DataOffset = 1,
            TableOffset = 2,
            HeaderVersion = 3,
            MaxTableEntries = 4,
            BlockSize = 5,
            ParentUniqueId = footer.UniqueId,
            ParentTimestamp = 6,
            ParentUnicodeName = new string('n', 255),
            ParentLocators = [.. Enumerable.Range(1, 8).Select(i => new VhdParentLocatorEntry((uint)i, (uint)i + 10, (uint)i + 20, (ulong)i + 30))],
        };
        VhdDynamicHeaderWriter.Write(header, bytes);
        var read = new VhdDynamicHeaderView(bytes).ToHeader();
        Assert.True(read.ChecksumIsValid);
        Assert.Equal(header.ParentLocators, read.ParentLocators);
        Assert.Equal(header with { Checksum = read.Checksum, ChecksumIsValid = true, ParentLocators = read.ParentLocators }, read);
    }
}
