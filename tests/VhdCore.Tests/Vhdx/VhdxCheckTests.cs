using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

/// <summary>What a check says of whole images; that every kind of damage is found is shown by <see cref="Vhd.CheckFindingTests"/>.</summary>
public sealed class VhdxCheckTests(ITestOutputHelper output)
{
    /// <summary>Its image is too long for an array.</summary>
    internal const string TooLargeLogId = VhdxFindingId.LogTooLarge;

    [Theory]
    [InlineData("ltrdata-vhdx-log-replay.vhdx", "VHDX-LOG-DIRTY")]
    [InlineData("ltrdata-btrfs.vhdx", "")]
    [InlineData("ltrdata-lvm2.vhdx", "")]
    [InlineData("qemu-iotest-dynamic-1G.vhdx", "")]
    [InlineData("qemu-iotest-dirtylog-10G-4M.vhdx", "VHDX-LOG-DIRTY")]
    public async Task Images_of_other_programs_are_sound(string name, string ids)
    {
        using var folder = new TempFolder();
        var report = await CheckOperation.RunAsync(VhdxSamples.Unpack(name, folder), cancellationToken: TestContext.Current.CancellationToken);
        foreach (var finding in report.Findings)
        {
            output.WriteLine(finding.ToString());
        }

        Assert.All(report.Findings, finding => Assert.Equal(CheckSeverity.Note, finding.Severity));
        Assert.Superset(ids.Split(' ', StringSplitOptions.RemoveEmptyEntries).ToHashSet(), report.Findings.Select(finding => finding.Id).ToHashSet());
        Assert.InRange(report.ImageEndOffset, 4 * MiB, long.MaxValue);
    }

    [Fact]
    public async Task A_dirty_image_is_checked_as_it_is_after_replay()
    {
        var builder = new PlainVhdxBuilder { Blocks = new() { [0] = new(6, Pattern(0)), [1] = new(6, Pattern(1)) } };
        var image = builder.Build();
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001"));
        log.Add(log.Take(builder.BatOffset, old: 0x44)); // the table in the file is nonsense
        log.MarkDirty();
        var report = await CheckAsync(image);
        Assert.Equal("VHDX-LOG-DIRTY", Assert.Single(report.Findings).Id);
        Assert.Equal((4, 2, image.Length), (report.TotalBlocks, report.AllocatedBlocks, report.ImageEndOffset));

        log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000002"));
        log.Add((builder.BatOffset, Pattern(9, 4096), 0)); // and now the one in the log
        log.MarkDirty();
        Assert.Contains((await CheckAsync(image)).Findings, finding => finding.Severity == CheckSeverity.Corruption);
    }

    [Theory]
    [InlineData(6, 6)]
    [InlineData(6, 7)]
    [InlineData(7, 7)]
    public async Task Blocks_that_share_a_place_are_both_named(int state, int otherState)
    {
        var builder = new PlainVhdxBuilder
        {
            BlockSize = 2 * MiB,
            DiskSize = 64 * MiB,
            Locator = [("parent_linkage", "10000001-0002-0003-0405-060708090a0b"), ("relative_path", "p.vhdx")],
        };
        var image = builder.Build();
        Array.Resize(ref image, 16 * MiB);
        PlainVhdxBytes.Number(image, builder.EntryOffset(3), (6UL * MiB) + (ulong)state, 8);
        PlainVhdxBytes.Number(image, builder.EntryOffset(30), (7UL * MiB) + (ulong)otherState, 8);
        PlainVhdxBytes.Number(image, builder.EntryOffset(31), (10UL * MiB) + 6, 8);
        PlainVhdxBytes.Number(image, builder.BitmapEntryOffset(0), (11UL * MiB) + 6, 8);
        var overlaps = (await CheckAsync(image)).Findings.Where(finding => finding.Id == VhdxFindingId.BatOverlap).ToArray();
        Assert.Equal(2, overlaps.Length);
        Assert.Contains("Block 3 and block 30 share the file's bytes from 7340032 on", overlaps[0].Message, StringComparison.Ordinal);
        Assert.Equal(builder.EntryOffset(30), overlaps[0].FileOffset);
        Assert.Contains("Block 31 and the sector bitmap of chunk 0 share", overlaps[1].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_many_overlaps_a_thousand_are_listed_and_the_rest_counted()
    {
        var builder = new PlainVhdxBuilder { DiskSize = 3000L * MiB, Blocks = new() { [0] = new(6, Pattern(0)) } };
        var image = builder.Build();
        for (var block = 1; block < 3000; block++)
        {
            PlainVhdxBytes.Number(image, builder.EntryOffset(block), (ulong)builder.DataOffset + 6, 8);
        }

        var overlaps = (await CheckAsync(image)).Findings.Where(finding => finding.Id == VhdxFindingId.BatOverlap).ToArray();
        Assert.Equal(1001, overlaps.Length);
        Assert.Contains(overlaps, finding => finding.Message.Contains("1999 more", StringComparison.Ordinal));
        Assert.All(overlaps[..1000], finding => Assert.StartsWith("Block 0 and block ", finding.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(7, true)]
    [InlineData(8, false)]
    [InlineData(9, false)]
    public async Task A_run_as_long_as_a_block_is_unused_space_and_a_shorter_one_is_not(int gap, bool isShort)
    {
        var builder = new PlainVhdxBuilder
        {
            BlockSize = 8 * MiB,
            DiskSize = 64 * MiB,
        };
        var image = builder.Build();
        Array.Resize(ref image, (4 + gap + 8 + gap) * MiB);
        PlainVhdxBytes.Number(image, builder.EntryOffset(1), ((ulong)(4 + gap) * MiB) + 6, 8);
        var unused = (await CheckAsync(image)).Findings.Where(finding => finding.Id == VhdxFindingId.UnusedSpace).Select(finding => finding.FileOffset);
        Assert.Equal(isShort ? [] : [4L * MiB, (4L + gap + 8) * MiB], unused);
        var isFixed = new PlainVhdxBuilder { BlockSize = 8 * MiB, DiskSize = 64 * MiB, IsFixed = true }.Build();
        Array.Resize(ref isFixed, (4 + 64) * MiB);
        Assert.Empty((await CheckAsync(isFixed)).Findings); // its blocks are not present, and their space is kept
    }

    [Fact]
    public async Task A_disk_of_64_TiB_is_checked_with_little_memory()
    {
        var builder = new PlainVhdxBuilder { DiskSize = 64L << 40 };
        var entries = new byte[4096 * 8];
        for (var i = 0; i < 4096; i++)
        {
            PlainVhdxBytes.Number(entries, i * 8, (ulong)builder.DataOffset + ((64UL << 40) - ((ulong)(i + 1) << 30)) + 6, 8);
        }

        var resolver = new MemoryStorageResolver();
        resolver.Add("/vm/leaf.vhdx", builder.BuildFront());
        await using (var storage = await resolver.OpenAsync("/vm/leaf.vhdx", StorageOpenOptions.ForWriting, TestContext.Current.CancellationToken))
        {
            await storage.WriteBytesAsync(builder.EntryOffset(30_000_000 / 4096 * 4096), entries, cancellationToken: TestContext.Current.CancellationToken);
            await storage.SetLengthAsync(builder.DataOffset + (64L << 40), TestContext.Current.CancellationToken);
        }

        CheckReport report = null!;
        var allocated = Allocations.Of(async () => report = await CheckOperation.RunAsync("/vm/leaf.vhdx", null, resolver, TestContext.Current.CancellationToken));
        Assert.InRange(allocated, 1, 32 * MiB);
        Assert.Equal((64L << 20, 4096), (report.TotalBlocks, report.AllocatedBlocks));
        Assert.All(report.Findings, finding => Assert.Equal(VhdxFindingId.UnusedSpace, finding.Id));
    }

    [Fact]
    public async Task A_log_larger_than_any_is_not_replayed()
    {
        using var folder = new TempFolder();
        var path = folder["large-log.vhdx"];
        var image = new PlainVhdxBuilder().Build();
        foreach (var header in new[] { 65536, 131072 })
        {
            PlainVhdxBytes.Number(image, header + 68, (1UL << 30) + MiB, 4);
            PlainVhdxBytes.Number(image, header + 72, 16UL * MiB, 8);
            PlainVhdxBytes.Number(image, header + 48, 1, 8);
            PlainVhdxBytes.Mend(image, header, 4096);
        }

        await using (var file = File.Create(path))
        {
            await file.WriteAsync(image, TestContext.Current.CancellationToken);
            file.SetLength(2L << 30);
        }

        var report = await CheckOperation.RunAsync(path, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal((TooLargeLogId, CheckSeverity.Warning), (Assert.Single(report.Findings).Id, report.Findings[0].Severity));
    }

    private async Task<CheckReport> CheckAsync(byte[] image)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/vm/leaf.vhdx", image);
        var report = await CheckOperation.RunAsync("/vm/leaf.vhdx", new ImageOpenOptions { Parents = ParentPolicy.Refuse }, resolver, TestContext.Current.CancellationToken);
        foreach (var finding in report.Findings.Take(20))
        {
            output.WriteLine(finding.ToString());
        }

        return report;
    }
}
