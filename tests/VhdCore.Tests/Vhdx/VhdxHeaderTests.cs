using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

/// <summary>Headers and region tables, and what happens when one of a pair is bad.</summary>
public class VhdxHeaderTests
{
    private const int FirstHeader = 65536;
    private const int SecondHeader = 131072;
    private const int FirstTable = 196608;
    private const int SecondTable = 262144;
    private const int TableSize = 65536;

    private static readonly byte[] Good = new PlainVhdxBuilder { Blocks = new() { [1] = new(6, Pattern(1)) } }.Build();

    [Theory]
    [InlineData(FirstHeader)]
    [InlineData(SecondHeader)]
    public async Task With_one_header_damaged_the_other_counts(int damaged)
    {
        foreach (var at in new[] { 0, 4, 20, 4095 })
        {
            var image = Good.ToArray();
            image[damaged + at] ^= 1;
            Assert.Equal(damaged == FirstHeader ? SecondHeader : FirstHeader, (await ReadAsync(image)).Header.FileOffset);
            var finding = Assert.Single(await ExamineAsync(image));
            Assert.Equal((VhdxFindingId.HeaderOneInvalid, FindingSeverity.Warning, damaged, true), (finding.Id, finding.Severity, (int)finding.FileOffset, finding.IsRepairable));
            Assert.Equal(ReadPlainly(Good), await ReadAllAsync(image));
        }
    }

    [Fact]
    public async Task The_header_with_the_greater_sequence_number_counts()
    {
        foreach (var (first, second, current) in new[] { (5UL, 6UL, SecondHeader), (6UL, 5UL, FirstHeader), (ulong.MaxValue, 1UL, FirstHeader), (0UL, 1UL << 63, SecondHeader) })
        {
            var image = Good.ToArray();
            Set(image, FirstHeader, 8, first, 8, 4096);
            Set(image, SecondHeader, 8, second, 8, 4096);
            Assert.Equal(current, (await ReadAsync(image)).Header.FileOffset);
        }
    }

    [Fact]
    public async Task Two_equal_headers_are_noted_and_two_that_contradict_each_other_are_refused()
    {
        var image = Good.ToArray();
        Array.Copy(image, FirstHeader, image, SecondHeader, 4096);
        var finding = Assert.Single(await ExamineAsync(image));
        Assert.Equal((VhdxFindingId.HeaderEqualSequence, FindingSeverity.Note), (finding.Id, finding.Severity));
        Assert.Equal(ReadPlainly(Good), await ReadAllAsync(image));

        Set(image, SecondHeader, 20, 77, 4, 4096);
        var exception = await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        Assert.Equal(FirstHeader, exception.FileOffset);
    }

    [Fact]
    public async Task Without_a_right_checksum_an_image_is_read_only_if_checksums_are_to_be_ignored()
    {
        var image = Good.ToArray();
        image[FirstHeader + 4000] = 1;
        image[SecondHeader + 4000] = 1;
        image[FirstTable + 60000] = 1;
        image[SecondTable + 60000] = 1;
        var exception = await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        Assert.Contains("--ignore-bad-checksum", exception.Message, StringComparison.Ordinal);
        var warnings = new List<string>();
        var metadata = await ReadAsync(image, new ImageOpenOptions { IgnoreBadChecksum = true, OnWarning = warning => warnings.Add(warning.Message) });
        Assert.Equal(SecondHeader, metadata.Header.FileOffset);
        Assert.Equal(2, warnings.Count);
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image, new ImageOpenOptions { IgnoreBadChecksum = true, Writable = true }));
    }

    [Fact]
    public async Task Without_a_header_or_a_signature_an_image_is_refused()
    {
        var image = Good.ToArray();
        image.AsSpan(FirstHeader, 4).Clear();
        image.AsSpan(SecondHeader, 4).Clear();
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image, new ImageOpenOptions { IgnoreBadChecksum = true }));
        image = Good.ToArray();
        image[3] ^= 1;
        Assert.Equal(0, (await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image))).FileOffset);
    }

    [Fact]
    public async Task Another_version_is_refused_by_name()
    {
        var image = Good.ToArray();
        Set(image, FirstHeader, 66, 2, 2, 4096);
        Set(image, SecondHeader, 66, 2, 2, 4096);
        Assert.Contains("version is 2", (await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(image))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(FirstTable)]
    [InlineData(SecondTable)]
    public async Task With_one_region_table_damaged_the_other_counts(int damaged)
    {
        foreach (var at in new[] { 0, 4, 8, 16, 65535 })
        {
            var image = Good.ToArray();
            image[damaged + at] ^= 1;
            var finding = Assert.Single(await ExamineAsync(image));
            Assert.Equal((VhdxFindingId.RegionTableOneInvalid, damaged), (finding.Id, (int)finding.FileOffset));
            Assert.Equal(ReadPlainly(Good), await ReadAllAsync(image));
        }

        var tooMany = Good.ToArray();
        Set(tooMany, damaged, 8, 2048, 4, TableSize);
        Assert.Equal(VhdxFindingId.RegionTableOneInvalid, Assert.Single(await ExamineAsync(tooMany)).Id);
    }

    [Fact]
    public async Task Without_a_region_table_an_image_is_refused()
    {
        var image = Good.ToArray();
        image[FirstTable] ^= 1;
        image[SecondTable] ^= 1;
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image, new ImageOpenOptions { IgnoreBadChecksum = true }));
    }

    [Fact]
    public async Task Region_tables_that_differ_are_warned_of_and_keep_writers_out()
    {
        var image = Good.ToArray();
        Set(image, SecondTable, 16 + 28, 0, 4, TableSize);
        var finding = Assert.Single(await ExamineAsync(image));
        Assert.Equal((VhdxFindingId.RegionTablesDiffer, FindingSeverity.Warning, FindingRefusal.Writing), (finding.Id, finding.Severity, finding.Refusal));
        await ReadAsync(image);
        await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(image, new ImageOpenOptions { Writable = true }));
    }

    [Fact]
    public async Task Known_regions_that_are_not_marked_as_required_are_only_noted()
    {
        var findings = await ExamineAsync(new PlainVhdxBuilder { RegionsRequired = 0 }.Build());
        Assert.Equal([VhdxFindingId.RegionNotRequired, VhdxFindingId.RegionNotRequired], findings.Select(finding => finding.Id));
        Assert.All(findings, finding => Assert.Equal(FindingSeverity.Note, finding.Severity));
    }

    [Fact]
    public async Task An_unknown_region_is_refused_by_name_where_it_is_required_and_left_alone_where_not()
    {
        const string Id = "abcdef01-0203-0405-0607-08090a0b0c0d";
        var builder = new PlainVhdxBuilder { Blocks = new() { [0] = new(6, Pattern(0)), [1] = new(6, Pattern(1)) } };
        var image = Extra(1);
        Assert.Contains(Id, (await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(image))).Message, StringComparison.Ordinal);
        image = Extra(0);
        Assert.Equal(VhdxFindingId.RegionUnknown, Assert.Single(await ExamineAsync(image)).Id);
        Assert.Equal(3, (await ReadAsync(image)).Regions.Count);
        await using var device = await OpenAsync(new ImageOpenOptions(), image);
        using var buffer = new VhdCore.Testing.NativeBuffer(512);
        Assert.Equal(BlockStatus.Ok, await device.ReadAsync(0, buffer.Buffers, TestContext.Current.CancellationToken));
        Assert.Equal(BlockStatus.Corrupt, await device.ReadAsync(MiB, buffer.Buffers, TestContext.Current.CancellationToken)); // lies over the region

        byte[] Extra(uint required) => new PlainVhdxBuilder
        {
            Blocks = builder.Blocks,
            ExtraRegions = [(Id, (ulong)builder.DataOffset + MiB, MiB, required)],
        }.Build();
    }

    [Theory]
    [InlineData(16, 0UL)]
    [InlineData(16, 0x80000UL)]
    [InlineData(16, 0x300001UL)]
    [InlineData(16, 0x200000UL)] // the other region
    [InlineData(16, 0x40000000UL)]
    [InlineData(16, 0xFFFFFFFFFFF00000UL)]
    [InlineData(24, 0UL)]
    [InlineData(24, 0xFFF00000UL)]
    public async Task A_BAT_that_cannot_be_where_the_table_says_is_refused(int field, ulong value)
    {
        var image = Good.ToArray();
        foreach (var table in new[] { FirstTable, SecondTable })
        {
            Set(image, table, 16 + field, value, field == 16 ? 8 : 4, TableSize);
        }

        var exception = await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        Assert.InRange(exception.FileOffset!.Value, FirstHeader, SecondTable);
    }

    [Fact]
    public async Task A_BAT_over_the_log_is_refused_only_where_the_log_is_needed()
    {
        var image = Good.ToArray();
        foreach (var table in new[] { FirstTable, SecondTable })
        {
            Set(image, table, 16 + 16, (ulong)PlainVhdxBuilder.LogOffset, 8, TableSize);
        }

        var finding = Assert.Single(await ExamineAsync(image));
        Assert.Equal((VhdxFindingId.RegionOverlap, FindingRefusal.Writing), (finding.Id, finding.Refusal));
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001"));
        log.Add();
        log.MarkDirty();
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
    }

    [Fact]
    public async Task A_region_that_is_missing_or_there_twice_is_refused()
    {
        foreach (var id in new[] { "2dc27766-f623-4200-9d64-115e9bfd4a08", "abcdef01-0203-0405-0607-08090a0b0c0d" })
        {
            var image = Good.ToArray();
            foreach (var table in new[] { FirstTable, SecondTable })
            {
                PlainVhdxBytes.Identifier(id).CopyTo(image, table + 16 + 32); // in the metadata region's place
                Set(image, table, 16 + 32 + 28, 0, 4, TableSize);
            }

            await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        }
    }

    private static void Set(byte[] image, int structure, int field, ulong value, int count, int size)
    {
        PlainVhdxBytes.Number(image, structure + field, value, count);
        PlainVhdxBytes.Mend(image, structure, size);
    }
}
