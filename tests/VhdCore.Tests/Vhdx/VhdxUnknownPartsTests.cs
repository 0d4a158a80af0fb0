using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

/// <summary>Regions and metadata items that are unknown here: left alone where they are optional, refused by name where they are required.</summary>
public sealed class VhdxUnknownPartsTests
{
    private const string RegionId = "40000001-0002-0003-0405-060708090a0b";
    private const string ItemId = "50000001-0002-0003-0405-060708090a0b";

    private static readonly (long Offset, int Length)[] Regions = [(6 * MiB, MiB), (8 * MiB, 2 * MiB), (15 * MiB, MiB)];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_optional_stays_through_sessions_that_write_trim_and_grow(bool isChild)
    {
        var stop = TestContext.Current.CancellationToken;
        var resolver = new MemoryStorageResolver();
        resolver.Add("/root.vhdx", new PlainVhdxBuilder { DiskSize = 40 * MiB }.Build());
        var before = Image(isChild);
        resolver.Add("/x.vhdx", before);
        var random = new Random(3);
        var model = new byte[40 * MiB];
        Pattern(0).CopyTo(model, 0);
        Pattern(5).CopyTo(model, 5 * MiB);
        for (var session = 0; session < 3; session++)
        {
            await using var disk = await VirtualDisk.OpenAsync("/x.vhdx", new() { Writable = true }, resolver, stop);
            for (var i = 0; i < 30; i++)
            {
                var bytes = new byte[random.Next(1, 3 * MiB)];
                var offset = random.Next(0, model.Length - bytes.Length);
                if (random.Next(3) == 0)
                {
                    await disk.ZeroAsync(offset, bytes.Length, cancellationToken: stop);
                }
                else
                {
                    random.NextBytes(bytes);
                    await disk.WriteAsync(offset, bytes, cancellationToken: stop);
                }

                bytes.CopyTo(model, offset);
            }
        }

        var after = resolver.GetBytes("/x.vhdx");
        foreach (var (offset, length) in Regions)
        {
            Assert.True(after.AsSpan((int)offset, length).SequenceEqual(before.AsSpan((int)offset, length)), $"The region at byte {offset} was changed.");
        }

        Assert.True(after.AsSpan(192 << 10, 128 << 10).SequenceEqual(before.AsSpan(192 << 10, 128 << 10)), "A region table was changed.");
        Assert.True(after.AsSpan(2 * MiB, MiB).SequenceEqual(before.AsSpan(2 * MiB, MiB)), "The metadata was changed.");
        byte[][] chain = isChild ? [after, resolver.GetBytes("/root.vhdx")] : [after];
        Assert.Equal(model, ReadPlainly(chain));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_region_that_is_required_is_refused_by_name(bool isWritable)
    {
        byte[] bytes = [.. new PlainVhdxBuilder { ExtraRegions = [(RegionId, 5 * MiB, MiB, 1)] }.Build(), .. new byte[2 * MiB]];
        await ExpectRefusalAsync(bytes, isWritable, RegionId);
    }

    [Theory]
    [InlineData(4, false)]
    [InlineData(4, true)]
    [InlineData(6, false)]
    [InlineData(6, true)]
    public async Task An_item_that_is_required_is_refused_by_name(uint flags, bool isWritable)
    {
        await ExpectRefusalAsync(new PlainVhdxBuilder { ExtraItems = [(ItemId, flags, [1, 2, 3])] }.Build(), isWritable, ItemId);
    }

    [Fact]
    public async Task A_child_gets_what_belongs_to_the_disk_and_not_what_belongs_to_the_file()
    {
        var stop = TestContext.Current.CancellationToken;
        var resolver = new MemoryStorageResolver();
        resolver.Add("/x.vhdx", Image(isChild: false));
        await using (await VirtualDisk.CreateAsync("/child.vhdx", new() { Format = ImageFormat.Vhdx, Kind = ImageKind.Differencing, Parent = "/x.vhdx" }, resolver, stop))
        {
        }

        var metadata = await ReadAsync(resolver.GetBytes("/child.vhdx"));
        Assert.Equal(
            [("50000003-0002-0003-0405-060708090a0b", 33u, 3u), ("50000004-0002-0003-0405-060708090a0b", 0u, 2u), ("da02d7bc-3d3a-423c-ac88-2a36ab21479b", 8u, 6u)],
            metadata.Items.Skip(5).SkipLast(1).Select(item => (item.ItemId.ToString(), item.Length, item.Flags)));
        var bytes = resolver.GetBytes("/child.vhdx");
        var copied = metadata.Items[5];
        Assert.Equal(Pattern(13, 33), bytes[((int)metadata.MetadataRegion.FileOffset + (int)copied.Offset)..][..33]);
        Assert.All(await ExamineAsync(bytes), finding => Assert.Equal(FindingSeverity.Note, finding.Severity));
    }

    private static async Task ExpectRefusalAsync(byte[] bytes, bool isWritable, string name)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/x.vhdx", bytes);
        var exception = await Assert.ThrowsAsync<UnsupportedImageException>(
            async () => await VirtualDisk.OpenAsync("/x.vhdx", new() { Writable = isWritable }, resolver, TestContext.Current.CancellationToken));
        Assert.Contains(name, exception.Message, StringComparison.Ordinal);
        Assert.Equal(bytes, resolver.GetBytes("/x.vhdx"));
    }

    /// <summary>A block at 4 MiB and one at 11 MiB, unknown regions between them and behind them, and unknown items of each kind.</summary>
    private static byte[] Image(bool isChild)
    {
        var builder = new PlainVhdxBuilder
        {
            DiskSize = 40 * MiB,
            Locator = isChild ? [("parent_linkage", "10000001-0002-0003-0405-060708090a0b"), ("relative_path", "root.vhdx"), ("unknown key", "value")] : [],
            DataWriteId = PlainVhdxBytes.Identifier("10000002-0002-0003-0405-060708090a0b"),
            Blocks = new() { [0] = new(6, Pattern(0)) },
            ExtraRegions = [.. Regions.Select((region, i) => ($"4000000{i}-0002-0003-0405-060708090a0b", (ulong)region.Offset, (uint)region.Length, 0u))],
            ExtraItems =
            [
                (ItemId, 0, Pattern(11, 1000)), // system, of the file
                ("50000002-0002-0003-0405-060708090a0b", 1, Pattern(12, 70_000)), // user, of the file
                ("50000003-0002-0003-0405-060708090a0b", 3, Pattern(13, 33)), // user, of the disk
                ("50000004-0002-0003-0405-060708090a0b", 2, []), // there, and empty
                ("da02d7bc-3d3a-423c-ac88-2a36ab21479b", 6, [16, 0, 0, 0, 63, 0, 0, 0]), // a geometry, which Windows can write
            ],
        };
        var bytes = builder.Build();
        Array.Resize(ref bytes, 16 * MiB);
        Pattern(5).CopyTo(bytes, 11 * MiB);
        PlainVhdxBytes.Number(bytes, builder.EntryOffset(5), (11 * MiB) + 6, 8);
        foreach (var (offset, length) in Regions)
        {
            Pattern((int)(offset >> 20), length).CopyTo(bytes, offset);
        }

        return bytes;
    }
}
