using VhdCore.Errors;
using VhdCore.Operations;

namespace VhdCore.Tests.Operations;

public sealed class ConvertOperationTests
{
    private const int MiB = 1 << 20;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(MiB - 1)]
    [InlineData(MiB)]
    [InlineData(MiB + 1)]
    [InlineData((5 * MiB) + 1536)]
    public async Task A_copy_has_the_source_s_bytes(int length)
    {
        foreach (var inOrder in new[] { true, false })
        {
            var source = new ArrayDevice(Pattern.Bytes(length));
            var target = new ArrayDevice(new byte[length]);
            var result = await ConvertOperation.RunAsync(source, target, new ConvertOptions { TargetIsZero = true, WriteInOrder = inOrder, Verify = true });
            AssertSame(source.Content, target.Content);
            Assert.Equal(new ConvertResult(length, length, 0), result);
            Assert.Contains(target.Log, entry => entry.What == "flush");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Random_maps_over_a_dirty_target_come_out_right(int seed)
    {
        var random = new Random(seed);
        var source = new ArrayDevice(Pattern.Bytes(3 * MiB));
        for (var i = 0; i < 24; i++)
        {
            // Unions of runs from one sector to whole windows; every second one is zero only in content.
            var start = random.Next(0, source.Content.Length / 512);
            var count = Math.Min(1 << random.Next(0, 12), (source.Content.Length / 512) - start);
            if (i % 2 == 0)
            {
                source.WithZeros(start * 512L, count * 512L);
            }
            else
            {
                source.Content.AsSpan(start * 512, count * 512).Clear();
            }
        }

        foreach (var sparse in new[] { 0, 512, 4096, MiB })
        {
            foreach (var inOrder in new[] { true, false })
            {
                var target = new ArrayDevice(Pattern.Bytes((3 * MiB) + 512, seed: 99));
                var result = await ConvertOperation.RunAsync(
                    source, target, new ConvertOptions { SparseSize = sparse, WriteInOrder = inOrder, Jobs = 3, Verify = true });
                AssertSame(source.Content, target.Content.AsSpan(0, target.Content.Length - 512));
                Assert.Equal(Pattern.Bytes((3 * MiB) + 512, seed: 99)[^512..], target.Content[^512..]);
                Assert.Equal(source.Length, result.BytesWritten + result.BytesZero);
                Assert.True(sparse != 0 || result.BytesZero == 0);

                var blank = new ArrayDevice(new byte[3 * MiB]);
                await ConvertOperation.RunAsync(source, blank, new ConvertOptions { SparseSize = sparse, WriteInOrder = inOrder, TargetIsZero = true });
                AssertSame(source.Content, blank.Content);
            }
        }
    }

    [Fact]
    public async Task What_the_map_knows_to_be_zero_is_neither_read_nor_written()
    {
        var source = new ArrayDevice(Pattern.Bytes(8 * MiB)).WithZeros(MiB + 4096, (5 * MiB) + 512);
        var target = new ArrayDevice(new byte[8 * MiB]);
        var result = await ConvertOperation.RunAsync(source, target, new ConvertOptions { TargetIsZero = true });

        AssertSame(source.Content, target.Content);
        Assert.All(
            source.Log.Concat(target.Log).Where(entry => entry.What != "flush"),
            entry => Assert.True(entry.Offset + entry.Length <= MiB + 4096 || entry.Offset >= (6 * MiB) + 4096, entry.ToString()));
        Assert.Equal((3 * MiB) - 512, result.BytesRead);
        Assert.DoesNotContain(target.Log, entry => entry.What == "zero");
    }

    [Fact]
    public async Task Writes_in_order_rise_however_reads_overtake_each_other()
    {
        var source = new ArrayDevice(Pattern.Bytes(12 * MiB));
        var target = new ArrayDevice(new byte[12 * MiB]);
        await ConvertOperation.RunAsync(source, target, new ConvertOptions { Jobs = 8, TargetIsZero = true });
        var offsets = target.Log.Where(entry => entry.What == "write").Select(entry => entry.Offset).ToArray();
        Assert.Equal(12, offsets.Length);
        Assert.Equal(offsets.Order(), offsets);
    }

    [Fact]
    public async Task Zeros_are_written_out_where_the_target_cannot_zero()
    {
        var source = new ArrayDevice(Pattern.Bytes(2 * MiB)).WithZeros(4096, MiB);
        var target = new ArrayDevice(Pattern.Bytes(2 * MiB, seed: 7))
        {
            Fail = (what, _, _) => what == "zero" ? BlockStatus.Unsupported : BlockStatus.Ok,
        };
        await ConvertOperation.RunAsync(source, target);
        AssertSame(source.Content, target.Content);
    }

    [Theory]
    [InlineData("read", BlockStatus.IoError, "left")]
    [InlineData("write", BlockStatus.NoSpace, "right")]
    [InlineData("flush", BlockStatus.IoError, "right")]
    public async Task A_failure_names_the_side_and_the_place(string request, BlockStatus status, string side)
    {
        BlockStatus Fail(string what, long offset, long length) => what == request && (what == "flush" || offset == 3 * MiB) ? status : BlockStatus.Ok;
        var source = new ArrayDevice(Pattern.Bytes(6 * MiB), "left") { Fail = request == "read" ? Fail : null };
        var target = new ArrayDevice(new byte[6 * MiB], "right") { Fail = request == "read" ? null : Fail };
        var error = await Assert.ThrowsAsync<StorageException>(() => ConvertOperation.RunAsync(source, target, new ConvertOptions { TargetIsZero = true }));
        Assert.Equal(side, error.Path);
        Assert.Equal(status, error.Status);
        if (request != "flush")
        {
            Assert.Contains("at offset 3145728", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_table_that_cannot_be_true_is_a_corrupt_image()
    {
        var source = new ArrayDevice(new byte[MiB], "left") { Fail = (what, _, _) => what == "map" ? BlockStatus.Corrupt : BlockStatus.Ok };
        var error = await Assert.ThrowsAsync<CorruptImageException>(() => ConvertOperation.RunAsync(source, new ArrayDevice(new byte[MiB])));
        Assert.Equal("left", error.Path);
    }

    [Fact]
    public async Task Verify_finds_a_bit_that_the_target_lost()
    {
        var source = new ArrayDevice(Pattern.Bytes(3 * MiB));
        ArrayDevice target = null!;
        target = new ArrayDevice(new byte[3 * MiB], "right")
        {
            Fail = (what, _, _) =>
            {
                if (what == "flush")
                {
                    target.Content[(2 * MiB) + 17] ^= 4;
                }

                return BlockStatus.Ok;
            },
        };
        var error = await Assert.ThrowsAsync<StorageException>(() => ConvertOperation.RunAsync(source, target, new ConvertOptions { Verify = true }));
        Assert.Equal("right", error.Path);
        Assert.Contains("at offset 2097169", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_copy_stops_and_says_so()
    {
        using var cancel = new CancellationTokenSource();
        var source = new ArrayDevice(Pattern.Bytes(12 * MiB));
        var target = new ArrayDevice(new byte[12 * MiB])
        {
            Fail = (_, offset, _) =>
            {
                if (offset >= 4 * MiB)
                {
                    cancel.Cancel();
                }

                return BlockStatus.Ok;
            },
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => ConvertOperation.RunAsync(source, target, new ConvertOptions { Jobs = 2 }, null, cancel.Token));
        Assert.True(target.Log.Count < 10, $"{target.Log.Count} requests reached the target");
    }

    [Fact]
    public async Task Progress_rises_to_the_total_and_reports_never_overlap()
    {
        var reports = new List<OperationProgress>();
        var inside = 0;
        var progress = new Reporter(report =>
        {
            Assert.Equal(1, Interlocked.Increment(ref inside));
            reports.Add(report);
            Interlocked.Decrement(ref inside);
        });
        var source = new ArrayDevice(Pattern.Bytes(9 * MiB)).WithZeros(2 * MiB, 4 * MiB);
        await ConvertOperation.RunAsync(source, new ArrayDevice(new byte[9 * MiB]), new ConvertOptions { Verify = true, WriteInOrder = false }, progress);
        foreach (var phase in reports.GroupBy(report => report.Phase))
        {
            Assert.Equal(phase.Select(report => report.BytesDone).Order(), phase.Select(report => report.BytesDone));
            Assert.Equal(9 * MiB, phase.Last().BytesDone);
            Assert.All(phase, report => Assert.Equal(9 * MiB, report.BytesTotal));
        }

        Assert.Equal(["convert", "verify"], reports.Select(report => report.Phase).Distinct());
    }

    [Fact]
    public async Task A_target_that_is_too_short_is_the_caller_s_mistake() =>
        await Assert.ThrowsAsync<ArgumentException>(() => ConvertOperation.RunAsync(new ArrayDevice(new byte[1024]), new ArrayDevice(new byte[512])));

    private static void AssertSame(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.Equal(expected.Length, expected.CommonPrefixLength(actual));
    }

    private sealed class Reporter(Action<OperationProgress> report) : IProgress<OperationProgress>
    {
        public void Report(OperationProgress value) => report(value);
    }
}
