using VhdCore.Errors;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

public class VhdxLogTests
{
    private static readonly byte[] Session = PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001");
    private static readonly byte[] EarlierSession = PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000000");

    private static readonly PlainVhdxBuilder Builder = new() { Blocks = Enumerable.Range(0, 4).ToDictionary(i => (long)i, i => new PlainVhdxBlock(6, Pattern(i))) };

    private static readonly byte[] Clean = Builder.Build();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(9)]
    public async Task A_log_of_any_number_of_entries_is_replayed_in_order(int count)
    {
        var image = Clean.ToArray();
        var log = Log(image);
        var bat = log.Take(Builder.BatOffset, old: 0);
        for (var i = 1; i < count; i++)
        {
            log.Add((Builder.BatOffset, Pattern(i, 4096), 0)); // overwritten by the last
            log.Tail ??= 0;
        }

        log.Add(bat);
        log.MarkDirty();
        await ExpectContentAsync(image, count);
    }

    [Fact]
    public async Task An_entry_may_run_over_the_logs_end_at_every_4_KiB()
    {
        var image = Clean.ToArray();
        var template = Log(image);
        var bat = template.Take(Builder.BatOffset, old: 0);
        var table = template.Take(PlainVhdxBuilder.LogOffset + MiB, old: 0xEE); // the metadata table
        template.MarkDirty();
        for (long start = MiB - (6 * 4096); start < MiB; start += 4096)
        {
            var dirty = image.ToArray();
            var log = Log(dirty);
            log.Head = start;
            log.Tail = start;
            log.Add();
            log.Add((Builder.BatOffset, Pattern(1, 4096), 0), table);
            log.Add(bat);
            await ExpectContentAsync(dirty, 3);
        }

        for (long start = 0; start < MiB; start += 4096)
        {
            var dirty = image.ToArray();
            var log = Log(dirty);
            log.Head = start;
            log.Add(bat, table);
            Assert.Equal(2, (await ReadAsync(dirty)).Replay!.Updates.Count);
        }
    }

    [Fact]
    public async Task Entries_of_earlier_sessions_count_for_nothing_although_their_numbers_are_higher()
    {
        var image = Clean.ToArray();
        var stale = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, EarlierSession) { Sequence = 1UL << 62, Head = 8 * 4096 };
        for (var i = 0; i < 5; i++)
        {
            stale.Add((Builder.BatOffset, Pattern(i, 4096), 0));
        }

        var log = Log(image);
        log.Add(log.Take(Builder.BatOffset, old: 0));
        log.MarkDirty();
        await ExpectContentAsync(image, 1);
        Assert.Contains(await ExamineAsync(image), finding => finding.Id == VhdxFindingId.LogStaleEntries);
    }

    [Fact]
    public async Task An_empty_first_entry_and_a_lagging_tail_are_replayed_as_Windows_writes_them()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Sequence = 0x7FFF_FFFF_FFFF_FFF0;
        log.Add();
        log.Tail = 4096;
        var bat = log.Take(Builder.BatOffset, old: 0);
        log.Add((Builder.BatOffset, Pattern(3, 4096), 0));
        log.Add(bat);
        log.MarkDirty();
        await ExpectContentAsync(image, 2);
    }

    [Fact]
    public async Task A_log_of_nothing_but_an_empty_entry_changes_nothing()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Add();
        log.MarkDirty();
        await ExpectContentAsync(image, 1);
    }

    [Fact]
    public async Task Updates_before_the_newest_entrys_tail_are_not_made_again()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Add((Builder.BatOffset, Pattern(5, 4096), 0)); // applied, and its target changed since
        log.Tail = log.Head;
        log.Add();
        log.MarkDirty();
        await ExpectContentAsync(image, 1);
    }

    [Fact]
    public async Task A_torn_newest_entry_is_as_if_it_had_not_been_written()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Tail = 0;
        log.Add(log.Take(Builder.BatOffset, old: 0));
        var torn = log.Add((Builder.BatOffset, Pattern(5, 4096), 0), (Builder.BatOffset + 4096, Pattern(6, 4096), 0));
        log.MarkDirty();
        foreach (var at in new[] { 4, 8, 16, 24, 40, 64, 72, 80, 88, 96, 4096, 4100, 5000, 8188, 8192 + 4092 })
        {
            var cut = image.ToArray();
            cut[PlainVhdxBuilder.LogOffset + torn + at] ^= 0x40;
            await ExpectContentAsync(cut, 1);
        }
    }

    [Fact]
    public async Task Zeros_and_data_over_each_other_end_as_the_last_says()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        var bat = log.Take(Builder.BatOffset, old: 0xFF);
        log.Add((Builder.BatOffset, null, 64 << 10), bat, (Builder.BatOffset + 4096, Pattern(7, 4096), 0), (Builder.BatOffset + 4096, null, 8192));
        log.MarkDirty();
        await ExpectContentAsync(image, 1);
    }

    [Fact]
    public async Task A_block_behind_the_files_end_is_there_once_the_log_makes_the_file_longer()
    {
        var image = Clean[..^MiB];
        var log = Log(image);
        log.Flushed = (ulong)image.Length;
        log.Last = (ulong)Clean.Length;
        log.Add(log.Take(Builder.BatOffset, old: 0));
        log.MarkDirty();
        var content = await ReadAllAsync(image);
        Assert.Equal(ReadPlainly(image), content);
        Assert.Equal(Pattern(2), content[(2 * MiB)..(3 * MiB)]);
        Assert.False(content.AsSpan(3 * MiB).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public async Task Entries_padded_for_larger_sectors_are_replayed()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Padding = 14;
        log.Tail = 0;
        log.Add((Builder.BatOffset, Pattern(7, 4096), 0));
        log.Add(log.Take(Builder.BatOffset, old: 0));
        log.MarkDirty();
        await ExpectContentAsync(image, 2);
    }

    [Fact]
    public async Task A_descriptor_in_a_second_sector_counts()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        var bat = log.Take(Builder.BatOffset, old: 0);
        log.Add([.. Enumerable.Range(1, 200).Select(i => (Builder.BatOffset + (i * 4096L), (byte[]?)null, 4096L)), bat]);
        log.MarkDirty();
        await ExpectContentAsync(image, 1);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65536)]
    [InlineData(131072)]
    [InlineData(MiB)]
    [InlineData((2 * MiB) - 4096)]
    [InlineData(1L << 60)]
    [InlineData((3 * MiB) + 512)]
    public async Task An_update_of_what_no_log_may_change_is_refused(long target)
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Add((target, new byte[4096], 0));
        log.MarkDirty();
        var exception = await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        Assert.Equal(PlainVhdxBuilder.LogOffset, exception.FileOffset);
        Assert.Contains($"byte {target}", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-4096L)] // all of 64 bits, but for the rest of a sector
    [InlineData(1L << 62)]
    [InlineData(5000L)]
    public async Task An_enormous_or_uneven_run_of_zeros_is_refused(long length)
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Add((Builder.BatOffset, null, length));
        log.MarkDirty();
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
    }

    [Fact]
    public async Task A_file_shorter_than_its_log_remembers_is_refused()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Add();
        log.MarkDirty();
        Assert.Contains("cut short", (await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image[..^MiB]))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_flushed_length_of_zero_is_noted_and_no_more()
    {
        var image = Clean.ToArray();
        var log = Log(image);
        log.Flushed = 0;
        log.Add(log.Take(Builder.BatOffset, old: 0));
        log.MarkDirty();
        await ExpectContentAsync(image, 1);
        var finding = Assert.Single(await ExamineAsync(image), finding => finding.Id == VhdxFindingId.LogFileOffsets);
        Assert.Equal(FindingSeverity.Note, finding.Severity);
    }

    [Fact]
    public async Task A_log_to_replay_without_a_sequence_is_refused()
    {
        var image = Clean.ToArray();
        Log(image).MarkDirty();
        Assert.Contains("no complete sequence", (await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image))).Message, StringComparison.Ordinal);

        var log = Log(image); // an entry whose tail is nowhere
        log.Tail = 40960;
        log.Add();
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
    }

    [Theory]
    [InlineData(68, 4, 0)] // no length
    [InlineData(68, 4, 4096)]
    [InlineData(68, 4, 0xFFF00000)]
    [InlineData(72, 8, 0)]
    [InlineData(72, 8, 0x80000)]
    [InlineData(72, 8, 0x7FFFFFFFFFF00000)]
    [InlineData(64, 2, 1)] // log version
    public async Task A_log_that_cannot_be_where_the_header_says_matters_only_when_it_must_be_replayed(int field, int size, ulong value)
    {
        foreach (var isDirty in new[] { false, true })
        {
            var image = Clean.ToArray();
            var log = Log(image);
            log.Add();
            if (isDirty)
            {
                log.MarkDirty();
            }

            foreach (var header in new[] { 65536, 131072 })
            {
                PlainVhdxBytes.Number(image, header + field, value, size);
                PlainVhdxBytes.Mend(image, header, 4096);
            }

            if (isDirty)
            {
                await Assert.ThrowsAnyAsync<ImageException>(() => ReadAsync(image));
            }
            else
            {
                Assert.Equal(ReadPlainly(Clean), await ReadAllAsync(image));
            }
        }
    }

    private static PlainVhdxLogWriter Log(byte[] image) => new(image, PlainVhdxBuilder.LogOffset, MiB, Session);

    private static async Task ExpectContentAsync(byte[] dirty, int entryCount)
    {
        Assert.Equal(entryCount, (await ReadAsync(dirty)).Replay!.EntryCount);
        var content = await ReadAllAsync(dirty);
        Assert.Equal(ReadPlainly(dirty), content);
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal(Pattern(i), content[(i * MiB)..((i + 1) * MiB)]);
        }
    }
}
