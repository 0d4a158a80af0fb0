using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

public class VhdxLayerTests
{
    private const string ParentLink = "{10000001-0002-0003-0405-060708090a0b}";

    public static TheoryData<int, int, bool> Shapes
    {
        get
        {
            var shapes = new TheoryData<int, int, bool>();
            foreach (var sectorSize in new[] { 512, 4096 })
            {
                foreach (var blockSize in new[] { MiB, 2 * MiB, 4 * MiB })
                {
                    shapes.Add(sectorSize, blockSize, true);
                    shapes.Add(sectorSize, blockSize, false);
                }
            }

            return shapes;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task Every_state_reads_as_the_independent_reader_reads_it(int sectorSize, int blockSize, bool isDifferencing)
    {
        var parent = new PlainVhdxBuilder
        {
            SectorSize = sectorSize,
            BlockSize = MiB,
            DiskSize = 6L * blockSize,
            Blocks = Enumerable.Range(0, 6 * blockSize / MiB).ToDictionary(i => (long)i, i => new PlainVhdxBlock(6, Pattern(100 + i))),
        }.Build();
        var image = new PlainVhdxBuilder
        {
            SectorSize = sectorSize,
            BlockSize = blockSize,
            DiskSize = (7L * blockSize) - (3 * sectorSize), // the last block is not full, and lies behind the parent's end
            DataWriteId = PlainVhdxBytes.Identifier("30000001-0002-0003-0405-060708090a0b"),
            Locator = isDifferencing ? [("parent_linkage", ParentLink), ("relative_path", @".\parent.vhdx")] : [],
            Blocks = new()
            {
                [1] = new(1),
                [2] = new(2),
                [3] = new(3, Pattern(3, blockSize)), // keeps its place: a soft anchor
                [4] = new(6, Pattern(4, blockSize)),
                [5] = isDifferencing ? new(7, Pattern(5, blockSize)) { HasSector = sector => sector % 7 < 3 || sector % 100 > 70 } : new(5),
                [6] = isDifferencing ? new(7, Pattern(6, blockSize)) { HasSector = sector => sector % 64 == 0 } : new(6, Pattern(6, blockSize)),
            },
        }.Build();

        var images = isDifferencing ? new[] { image, parent } : [image];
        var expected = ReadPlainly(images);
        Assert.Equal(expected, await ReadAllAsync(images));
        await using var device = await OpenAsync(new ImageOpenOptions(), images);
        var random = new Random(sectorSize + blockSize);
        for (var i = 0; i < 100; i++)
        {
            var offset = random.Next(expected.Length);
            var length = random.Next(1, Math.Min(200_000, expected.Length - offset) + 1);
            Assert.Equal(expected[offset..(offset + length)], await device.ReadBytesAsync(offset, length, TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task A_zero_or_unmapped_block_hides_the_parent_and_one_not_present_does_not()
    {
        var parent = new PlainVhdxBuilder { Blocks = Enumerable.Range(0, 4).ToDictionary(i => (long)i, i => new PlainVhdxBlock(6, Pattern(i))) }.Build();
        var child = new PlainVhdxBuilder
        {
            Locator = [("parent_linkage", ParentLink), ("relative_path", "parent.vhdx")],
            Blocks = new() { [0] = new(2), [1] = new(3), [2] = new(1) },
        }.Build();
        var content = await ReadAllAsync(child, parent);
        Assert.False(content.AsSpan(0, 3 * MiB).ContainsAnyExcept((byte)0));
        Assert.Equal(Pattern(3), content[(3 * MiB)..]);
    }

    [Theory]
    [InlineData(1 * MiB - 512, 32 * MiB)]
    [InlineData(5 * MiB, 32 * MiB)]
    [InlineData(512, MiB)]
    public async Task A_disk_may_be_smaller_than_its_block(long diskSize, int blockSize)
    {
        var image = new PlainVhdxBuilder { DiskSize = diskSize, BlockSize = blockSize, Blocks = new() { [0] = new(6, Pattern(9, (int)diskSize)) } }.Build();
        Assert.Equal(Pattern(9, (int)diskSize), await ReadAllAsync(image));
    }

    [Fact]
    public async Task What_a_block_lacks_behind_the_files_end_reads_as_zeros()
    {
        var builder = new PlainVhdxBuilder { DiskSize = 2 * MiB, Blocks = new() { [0] = new(6, Pattern(1)), [1] = new(6, Pattern(2)) } };
        var image = builder.Build();
        var content = await ReadAllAsync(image[..^(MiB - 1000)]);
        Assert.Equal(Pattern(1), content[..MiB]);
        Assert.Equal(Pattern(2)[..1000], content[MiB..(MiB + 1000)]);
        Assert.False(content.AsSpan(MiB + 1000).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public async Task The_sector_bitmaps_entry_between_chunks_is_not_taken_for_a_blocks()
    {
        // 16 blocks of 256 MiB are a chunk. The blocks lie over each other, which nothing that reads them minds.
        const long BlockSize = 256L * MiB;
        var builder = new PlainVhdxBuilder
        {
            DiskSize = 34 * BlockSize,
            BlockSize = BlockSize,
            Locator = [("parent_linkage", ParentLink), ("relative_path", "parent.vhdx")],
        };
        var end = new PlainVhdxBuilder
        {
            DiskSize = builder.DiskSize,
            BlockSize = BlockSize,
            Locator = builder.Locator,
        };
        foreach (var (block, place) in new (long, long)[] { (0, 0), (15, 1), (16, 2), (31, 3), (32, 4), (33, 5) })
        {
            end.Blocks[block] = new PlainVhdxBlock(6, Pattern((int)block)) { Offset = (ulong)(end.DataOffset + (place * MiB)) };
        }

        var bytes = end.BuildFront().Concat(new byte[(int)(end.DataOffset - end.BatOffset) + (6 * MiB)]).ToArray();
        foreach (var (block, entry) in end.Blocks)
        {
            PlainVhdxBytes.Number(bytes, end.EntryOffset(block), entry.Offset!.Value + 6, 8);
            entry.Content!.CopyTo(bytes, (int)entry.Offset!.Value);
        }

        await using var device = await OpenAsync(new ImageOpenOptions(), bytes);
        foreach (var block in end.Blocks.Keys)
        {
            Assert.Equal(Pattern((int)block), await device.ReadBytesAsync(block * BlockSize, MiB, TestContext.Current.CancellationToken));
        }

        var run = await device.MapAsync(1 * BlockSize, device.Length - BlockSize, TestContext.Current.CancellationToken);
        Assert.Equal((14 * BlockSize, false), (run.Length, run.IsPresent));
    }

    [Theory]
    [InlineData(4, 8)] // reserved
    [InlineData(7, 8)] // partially present without a parent
    [InlineData(6, 0)] // nowhere
    [InlineData(6, 1)] // the log
    [InlineData(6, 2)] // the metadata region
    [InlineData(6, 3)] // the BAT
    [InlineData(6, 100)] // behind the end
    [InlineData(6, (1L << 44) - 1)]
    public async Task A_block_that_an_impossible_entry_names_is_corrupt_and_its_neighbours_are_not(int state, long offsetMiB)
    {
        var builder = new PlainVhdxBuilder { Blocks = Enumerable.Range(0, 4).ToDictionary(i => (long)i, i => new PlainVhdxBlock(6, Pattern(i))) };
        var image = builder.Build();
        PlainVhdxBytes.Number(image, builder.EntryOffset(2), ((ulong)offsetMiB << 20) + (ulong)state, 8);
        await using var device = await OpenAsync(new ImageOpenOptions(), image);
        using var buffer = new NativeBuffer(512);
        Assert.Equal(BlockStatus.Corrupt, await device.ReadAsync(2 * MiB, buffer.Buffers, TestContext.Current.CancellationToken));
        Assert.Equal(Pattern(1), await device.ReadBytesAsync(MiB, MiB, TestContext.Current.CancellationToken));
        Assert.Equal(Pattern(3), await device.ReadBytesAsync(3 * MiB, MiB, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(5, 4)]
    [InlineData(6, 0)]
    [InlineData(6, 2)]
    [InlineData(6, 100)]
    public async Task A_partially_present_block_without_a_possible_bitmap_is_corrupt(int state, long offsetMiB)
    {
        var builder = new PlainVhdxBuilder
        {
            Locator = [("parent_linkage", ParentLink), ("relative_path", "parent.vhdx")],
            Blocks = new() { [0] = new(6, Pattern(0)), [1] = new(7, Pattern(1)) },
        };
        var image = builder.Build();
        PlainVhdxBytes.Number(image, builder.BitmapEntryOffset(0), ((ulong)offsetMiB << 20) + (ulong)state, 8);
        await using var device = await OpenAsync(new ImageOpenOptions(), image);
        using var buffer = new NativeBuffer(512);
        Assert.Equal(BlockStatus.Corrupt, await device.ReadAsync(MiB, buffer.Buffers, TestContext.Current.CancellationToken));
        Assert.Equal(Pattern(0), await device.ReadBytesAsync(0, MiB, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task The_largest_disk_opens_without_its_tables_and_stays_within_its_cache()
    {
        var builder = new PlainVhdxBuilder { DiskSize = 64L << 40 };
        var storage = InMemory(builder.BuildFront());
        await storage.SetLengthAsync(builder.DataOffset, TestContext.Current.CancellationToken);
        var options = new ImageOpenOptions { TableCacheBytes = 1 << 20 };
        await using var layer = VhdxLayer.Open(storage, await VhdxMetadataReader.ReadAsync(storage, options, TestContext.Current.CancellationToken), options);
        Assert.Equal(0, layer.CacheSize);
        var random = new Random(64);
        for (var i = 0; i < 5000; i++)
        {
            var offset = random.NextInt64(layer.Length - 4096);
            Assert.Equal(ExtentKind.Zero, (await ResolveAsync(layer, offset)).Kind);
            Assert.InRange(layer.CacheSize, 1, options.TableCacheBytes);
        }

        Assert.Equal(ExtentKind.Zero, (await ResolveAsync(layer, layer.Length - 1)).Kind);
    }

    [Fact]
    public async Task A_small_cache_gives_the_same_content()
    {
        var blocks = Enumerable.Range(0, 3).ToDictionary(i => (long)i, i => new PlainVhdxBlock(7, Pattern(i, 32 * MiB)) { HasSector = sector => sector % (3 + i) == 0 });
        var image = new PlainVhdxBuilder
        {
            DiskSize = 96 * MiB,
            BlockSize = 32 * MiB,
            Locator = [("parent_linkage", ParentLink), ("relative_path", "parent.vhdx")],
            Blocks = blocks,
        }.Build();
        var options = new ImageOpenOptions { TableCacheBytes = 0 };
        await using var device = await OpenAsync(options, image);
        using var plain = PlainVhdxChain.Open(new MemoryStream(image));
        var random = new Random(3);
        for (var i = 0; i < 300; i++)
        {
            var offset = random.Next((96 * MiB) - 2000);
            Assert.Equal(plain.Read(offset, 2000), await device.ReadBytesAsync(offset, 2000, TestContext.Current.CancellationToken));
        }
    }

    private static async Task<DiskExtent> ResolveAsync(VhdxLayer layer, long offset)
    {
        while (true)
        {
            var extent = layer.Resolve(offset, 1);
            if (extent.Kind != ExtentKind.NotLoaded)
            {
                return extent;
            }

            Assert.Equal(BlockStatus.Ok, await layer.LoadAsync(offset, TestContext.Current.CancellationToken));
        }
    }
}
