using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

/// <summary>What opening for writing does to a file before the first write, and that it does nothing to one that is refused or needs nothing.</summary>
public class VhdxRecoveryTests
{
    private const string Path = "/vm/image.vhdx";
    private const int FirstHeader = 65536;
    private const int SecondHeader = 131072;
    private const int FirstTable = 196608;
    private const int SecondTable = 262144;

    private static readonly PlainVhdxBuilder Builder = new() { Blocks = new() { [0] = new(6, Pattern(0)), [1] = new(6, Pattern(1)) } };
    private static readonly byte[] Good = Builder.Build();
    private static readonly byte[] Session = PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001");

    [Fact]
    public async Task A_sound_image_that_is_not_written_to_stays_as_it_was()
    {
        var after = await OpenAndCloseAsync(Good);
        Assert.True(Good.AsSpan().SequenceEqual(after));
    }

    [Theory]
    [InlineData(FirstHeader)]
    [InlineData(SecondHeader)]
    public async Task A_damaged_header_is_made_from_the_good_one(int damaged)
    {
        foreach (var at in new[] { 0, 4, 20, 4095 })
        {
            var image = Good.ToArray();
            image[damaged + at] ^= 1;
            var mended = await OpenAndCloseAsync(image);
            Assert.Empty(await ExamineAsync(mended));
            var (old, now) = (await ReadAsync(image), await ReadAsync(mended));
            Assert.Equal(damaged, now.Header.FileOffset);
            Assert.Equal(old.Header.SequenceNumber + 1, now.Header.SequenceNumber);
            Assert.NotEqual(old.Header.FileWriteGuid, now.Header.FileWriteGuid);
            Assert.Equal(old.Header.DataWriteGuid, now.Header.DataWriteGuid);
            Assert.True(image.AsSpan(FirstTable).SequenceEqual(mended.AsSpan(FirstTable)));
        }
    }

    [Theory]
    [InlineData(FirstTable)]
    [InlineData(SecondTable)]
    public async Task A_damaged_copy_of_the_region_table_is_made_from_the_good_one(int damaged)
    {
        var image = Good.ToArray();
        image.AsSpan(damaged, 65536).Fill(0xEE);
        var mended = await OpenAndCloseAsync(image);
        Assert.Empty(await ExamineAsync(mended));
        Assert.True(Good.AsSpan(FirstTable).SequenceEqual(mended.AsSpan(FirstTable)));
        Assert.NotEqual((await ReadAsync(image)).Header.FileWriteGuid, (await ReadAsync(mended)).Header.FileWriteGuid);
    }

    [Fact]
    public async Task A_copy_of_the_region_table_that_the_log_has_is_not_taken_for_damaged()
    {
        var image = Good.ToArray();
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, Session);
        log.Add(log.Take(FirstTable, old: 0xEE));
        log.MarkDirty();
        Assert.Null((await ReadAsync(image)).DamagedRegionTableOffset);
        var replayed = await OpenAndCloseAsync(image);
        Assert.Empty(await ExamineAsync(replayed));
        Assert.True(Good.AsSpan(2 * MiB).SequenceEqual(replayed.AsSpan(2 * MiB)));
    }

    [Fact]
    public async Task With_a_damaged_header_and_a_log_both_are_put_right()
    {
        var image = Good.ToArray();
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, Session);
        log.Add(log.Take(Builder.BatOffset, old: 0));
        log.MarkDirty();
        image[SecondHeader + 100] ^= 1;
        image[SecondTable] ^= 1;
        var mended = await OpenAndCloseAsync(image);
        Assert.Empty(await ExamineAsync(mended));
        Assert.Equal(ReadPlainly(Good), ReadPlainly(mended));
        Assert.Equal((await ReadAsync(Good)).Header.DataWriteGuid, (await ReadAsync(mended)).Header.DataWriteGuid);
    }

    [Fact]
    public async Task An_image_whose_table_will_be_impossible_after_replay_is_refused_before_a_byte_is_changed()
    {
        var image = Good.ToArray();
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, Session);
        log.Add((Builder.BatOffset, Pattern(9, 4096), 0));
        log.MarkDirty();
        image[FirstHeader] ^= 1;
        var resolver = Holding(image);
        await Assert.ThrowsAsync<CorruptImageException>(async () => await VirtualDisk.OpenAsync(Path, new ImageOpenOptions { Writable = true }, resolver, TestContext.Current.CancellationToken));
        Assert.True(image.AsSpan().SequenceEqual(resolver.GetBytes(Path)));
    }

    [Fact]
    public async Task A_sequence_number_without_a_successor_keeps_writers_out()
    {
        foreach (var number in new[] { ulong.MaxValue, ulong.MaxValue - 1000 })
        {
            var image = Good.ToArray();
            PlainVhdxBytes.Number(image, FirstHeader + 8, number, 8);
            PlainVhdxBytes.Mend(image, FirstHeader, 4096);
            await ReadAsync(image);
            await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(image, new ImageOpenOptions { Writable = true }));
        }
    }

    [Fact]
    public async Task An_enormous_run_of_zeros_behind_the_files_end_takes_no_time()
    {
        var image = Good.ToArray();
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, Session) { Last = 1UL << 46 };
        log.Add(log.Take(Builder.BatOffset, old: 0), (image.Length, null, (1L << 46) - image.Length));
        log.MarkDirty();
        var replayed = await OpenAndCloseAsync(image);
        Assert.Empty(await ExamineAsync(replayed));
        Assert.True(Good.AsSpan(2 * MiB).SequenceEqual(replayed.AsSpan(2 * MiB)));
    }

    [Fact]
    public async Task A_check_finds_nothing_after_what_was_mended_was_written_to()
    {
        var image = Good.ToArray();
        image[FirstHeader + 8] ^= 1;
        image[SecondTable + 8] ^= 1;
        var resolver = Holding(image);
        await using (var disk = await VirtualDisk.OpenAsync(Path, new ImageOpenOptions { Writable = true }, resolver, TestContext.Current.CancellationToken))
        {
            await disk.WriteAsync(3 * MiB, Pattern(3), cancellationToken: TestContext.Current.CancellationToken);
        }

        Assert.Empty((await CheckOperation.RunAsync(Path, null, resolver, TestContext.Current.CancellationToken)).Findings);
        Assert.Equal(Pattern(3), ReadPlainly(resolver.GetBytes(Path))[(3 * MiB)..]);
    }

    private static async Task<byte[]> OpenAndCloseAsync(byte[] image)
    {
        var resolver = Holding(image);
        await using (await VirtualDisk.OpenAsync(Path, new ImageOpenOptions { Writable = true }, resolver, TestContext.Current.CancellationToken))
        {
        }

        return resolver.GetBytes(Path);
    }

    private static MemoryStorageResolver Holding(byte[] image)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add(Path, image);
        return resolver;
    }
}
