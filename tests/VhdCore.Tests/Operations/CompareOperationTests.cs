using VhdCore.Errors;
using VhdCore.Operations;

namespace VhdCore.Tests.Operations;

public sealed class CompareOperationTests
{
    private const int MiB = 1 << 20;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(MiB - 1)]
    [InlineData(MiB)]
    [InlineData((2 * MiB) + 5)]
    [InlineData((8 * MiB) - 1)]
    public async Task The_first_of_many_differences_is_found(int offset)
    {
        var first = new ArrayDevice(Pattern.Bytes(8 * MiB));
        var second = new ArrayDevice(Pattern.Bytes(8 * MiB));
        for (long place = offset; place < 8 * MiB; place += 300_007)
        {
            second.Content[place] ^= 0x40;
        }

        var result = await CompareOperation.RunAsync(first, second, new CompareOptions { Jobs = 4 });
        Assert.Equal(new CompareResult(CompareDifference.Content, offset, false), result);
    }

    [Fact]
    public async Task Equal_content_under_unequal_maps_is_identical_unless_strict()
    {
        var first = new ArrayDevice(Pattern.Bytes(4 * MiB)).WithZeros(MiB - 512, MiB);
        var second = new ArrayDevice([.. first.Content]);
        Assert.True((await CompareOperation.RunAsync(first, second)).AreIdentical);
        Assert.Equal(
            new CompareResult(CompareDifference.Allocation, MiB - 512, false),
            await CompareOperation.RunAsync(first, second, new CompareOptions { Strict = true }));

        second.Content[100] ^= 1;
        Assert.Equal(
            new CompareResult(CompareDifference.Content, 100, false),
            await CompareOperation.RunAsync(first, second, new CompareOptions { Strict = true }));
    }

    [Fact]
    public async Task Zeros_on_both_sides_are_not_read()
    {
        var first = new ArrayDevice(Pattern.Bytes(8 * MiB)).WithZeros(MiB, 6 * MiB);
        var second = new ArrayDevice([.. first.Content]).WithZeros(2 * MiB, 6 * MiB);
        second.Content.AsSpan(7 * MiB).Clear();
        first.Content.AsSpan(7 * MiB).Clear();
        Assert.True((await CompareOperation.RunAsync(first, second)).AreIdentical);
        Assert.All(first.Log.Concat(second.Log), entry => Assert.False(entry.Offset < 7 * MiB && entry.Offset + entry.Length > 2 * MiB, entry.ToString()));
    }

    [Theory]
    [InlineData(3 * MiB, (3 * MiB) + 512)]
    [InlineData((3 * MiB) + 512, 9 * MiB)]
    [InlineData(0, MiB)]
    [InlineData(0, 3)]
    public async Task A_longer_disk_is_identical_when_its_tail_is_zero(int shorter, int longer)
    {
        foreach (var known in new[] { false, true })
        {
            var a = new ArrayDevice(Pattern.Bytes(shorter));
            var b = new ArrayDevice(new byte[longer]);
            a.Content.CopyTo(b.Content, 0);
            if (known)
            {
                b.WithZeros(shorter, longer - shorter);
            }

            var identical = new CompareResult(CompareDifference.None, -1, true);
            Assert.Equal(identical, await CompareOperation.RunAsync(a, b));
            Assert.Equal(identical, await CompareOperation.RunAsync(b, a));
            Assert.Equal(
                new CompareResult(CompareDifference.Length, -1, true),
                await CompareOperation.RunAsync(a, b, new CompareOptions { Strict = true }));
        }

        var c = new ArrayDevice(Pattern.Bytes(shorter));
        var d = new ArrayDevice(new byte[longer]);
        c.Content.CopyTo(d.Content, 0);
        d.Content[^1] = 1;
        Assert.Equal(new CompareResult(CompareDifference.Content, longer - 1, true), await CompareOperation.RunAsync(c, d));
        Assert.Equal(new CompareResult(CompareDifference.Content, longer - 1, true), await CompareOperation.RunAsync(d, c));
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(14)]
    public async Task Random_maps_and_lengths_agree_with_a_plain_loop(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 8; round++)
        {
            var a = new ArrayDevice(new byte[random.Next(0, 6 * 2048) * 512]);
            var b = new ArrayDevice(new byte[random.Next(0, 6 * 2048) * 512]);
            for (var i = 0; i < 3; i++)
            {
                var start = random.Next(0, 6 * 2048) * 512;
                var run = Pattern.Bytes(512 << random.Next(0, 9), seed + i);
                foreach (var device in new[] { a, b })
                {
                    run.AsSpan(0, Math.Max(0, Math.Min(run.Length, device.Content.Length - start))).CopyTo(device.Content.AsSpan(Math.Min(start, device.Content.Length)));
                }
            }

            foreach (var device in new[] { a, b })
            {
                for (var grain = 0; grain < device.Content.Length / 512; grain++)
                {
                    if (grain / 100 % 3 != 0 && !device.Content.AsSpan(grain * 512, 512).ContainsAnyExcept((byte)0))
                    {
                        device.ZeroGrains.Add(grain);
                    }
                }
            }

            var longer = Math.Max(a.Length, b.Length);
            var left = new byte[longer];
            var right = new byte[longer];
            a.Content.CopyTo(left, 0);
            b.Content.CopyTo(right, 0);
            var common = left.AsSpan().CommonPrefixLength(right);
            var expected = common == longer ? -1 : common;
            var result = await CompareOperation.RunAsync(a, b, new CompareOptions { Jobs = 3 });
            Assert.True(expected == result.DifferenceOffset, $"seed {seed}, round {round}: {result} instead of {expected}");
        }
    }

    [Fact]
    public async Task A_failed_read_names_the_side()
    {
        var first = new ArrayDevice(Pattern.Bytes(MiB), "left");
        var second = new ArrayDevice(Pattern.Bytes(MiB), "right") { Fail = (what, _, _) => what == "read" ? BlockStatus.IoError : BlockStatus.Ok };
        var error = await Assert.ThrowsAsync<StorageException>(() => CompareOperation.RunAsync(first, second));
        Assert.Equal("right", error.Path);
    }
}
