using System.Buffers.Binary;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

/// <summary>Where blocks go in the file, how long it is, and disks of unusual sizes.</summary>
public class VhdxSpaceTests
{
    private const int MiB = 1 << 20;
    private const int BatOffset = 3 * MiB;
    private const int FirstBlock = 4 * MiB;

    [Fact]
    public async Task What_a_killed_session_grew_the_file_by_is_given_back_when_its_log_is_replayed()
    {
        var resolver = await CreateAsync(64);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            await FillAsync(device, 0, MiB);
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            resolver.Copy("a.vhdx", "killed.vhdx");
        }

        Assert.True(resolver.GetBytes("killed.vhdx").Length > FirstBlock + MiB);
        await using (await VhdxFiles.OpenAsync(resolver, "killed.vhdx"))
        {
            Assert.Equal(FirstBlock + MiB, resolver.GetBytes("killed.vhdx").Length);
        }

        Assert.Equal(FirstBlock + MiB, resolver.GetBytes("killed.vhdx").Length);
        Assert.DoesNotContain((byte)0, (await VhdxFiles.ReadPlainlyAsync(resolver, "killed.vhdx"))[..MiB]);
    }

    [Theory]
    [InlineData(512)] // as Disk2vhd leaves it
    [InlineData((3 * MiB) + 4096)]
    public async Task What_lies_behind_everything_in_use_stays_until_something_is_written_and_is_then_cut_off(int slack)
    {
        var resolver = await CreateAsync(8);
        var image = resolver.GetBytes("a.vhdx");
        Array.Resize(ref image, image.Length + slack);
        image.AsSpan(^slack..).Fill(0xEE);
        resolver.Add("a.vhdx", image);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        }

        Assert.Equal(image, resolver.GetBytes("a.vhdx"));
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            await FillAsync(device, 100, 200);
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            var content = await VhdxFiles.ReadPlainlyAsync(resolver, "a.vhdx");
            Assert.False(content.AsSpan(300).ContainsAnyExcept((byte)0));
        }

        Assert.Equal(FirstBlock + MiB, resolver.GetBytes("a.vhdx").Length);
    }

    [Fact]
    public async Task A_last_block_that_the_file_cuts_short_reads_as_zeros_there_and_is_made_whole_when_something_is_written()
    {
        var content = VhdxImages.Pattern(1, (2 * MiB) - 4096);
        var image = new PlainVhdxBuilder { DiskSize = 2 * MiB, BlockSize = 2 * MiB, Blocks = { [0] = new PlainVhdxBlock(6, content) } }.Build()[..^4096];
        var resolver = new MemoryStorageResolver();
        resolver.Add("a.vhdx", image);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            var seen = await device.ReadBytesAsync(0, 2 * MiB);
            Assert.Equal(content, seen[..^4096]);
            Assert.False(seen.AsSpan(^4096..).ContainsAnyExcept((byte)0));
        }

        Assert.Equal(image, resolver.GetBytes("a.vhdx"));
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            await FillAsync(device, (2 * MiB) - 10, 10);
            Assert.Equal(content, (await device.ReadBytesAsync(0, 2 * MiB))[..^4096]);
        }

        Assert.Equal(image.Length + 4096, resolver.GetBytes("a.vhdx").Length);
        var after = await VhdxFiles.ReadPlainlyAsync(resolver, "a.vhdx");
        Assert.Equal(content, after[..^4096]);
        Assert.False(after.AsSpan((2 * MiB) - 4096, 4086).ContainsAnyExcept((byte)0));
        Assert.All(after[^10..], value => Assert.Equal(0x55, value));
    }

    [Fact]
    public async Task Blocks_may_lie_in_any_order_but_not_where_anything_else_lies()
    {
        const int Blocks = 12;
        const int Seed = 5;
        var random = new Random(Seed);
        var resolver = await CreateAsync(Blocks);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            await FillAsync(device, 0, Blocks * MiB);
        }

        var image = resolver.GetBytes("a.vhdx");
        Assert.Equal(FirstBlock + (Blocks * MiB), image.Length);
        for (var round = 0; round < 100; round++)
        {
            // Blocks that follow one another, in pieces, and the pieces in any order.
            var cuts = Enumerable.Range(1, Blocks - 1).Where(_ => random.Next(4) == 0).Append(Blocks).ToArray();
            var pieces = cuts.Select((end, i) => Enumerable.Range(i == 0 ? 0 : cuts[i - 1], end - (i == 0 ? 0 : cuts[i - 1])).ToArray()).ToArray();
            random.Shuffle(pieces);
            var places = pieces.SelectMany(piece => piece).Select(block => (FirstBlock / MiB) + block).ToArray(); // in MiB
            var wrong = round % 4 == 0 ? -1 : random.Next(Blocks);
            var first = wrong; // of the entries that are told to be wrong
            if (wrong >= 0)
            {
                var other = random.Next(Blocks - 1);
                other += other >= wrong ? 1 : 0;
                var kind = random.Next(3);
                first = kind == 0 ? Math.Max(wrong, other) : wrong;
                places[wrong] = kind == 0 ? places[other] : kind == 1 ? random.Next(FirstBlock / MiB) : (image.Length / MiB) + random.Next(3);
            }

            for (var i = 0; i < Blocks; i++)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(BatOffset + (8 * i)), ((ulong)places[i] << 20) | (ulong)PayloadBlockState.FullyPresent);
            }

            resolver.Add("a.vhdx", image);
            if (wrong < 0)
            {
                await (await VhdxFiles.OpenAsync(resolver, "a.vhdx")).DisposeAsync();
            }
            else
            {
                var refusal = await Assert.ThrowsAsync<CorruptImageException>(() => VhdxFiles.OpenAsync(resolver, "a.vhdx"));
                Assert.Equal(BatOffset + (8 * first), refusal.FileOffset);
            }

            Assert.True(resolver.GetBytes("a.vhdx").AsSpan().SequenceEqual(image));
        }
    }

    [Fact]
    public async Task Holes_between_blocks_are_filled_before_the_file_grows_and_show_nothing_of_what_they_held()
    {
        var resolver = await CreateAsync(16);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            await FillAsync(device, 0, 6 * MiB);
        }

        var image = resolver.GetBytes("a.vhdx");
        foreach (var block in new[] { 1, 2, 4 })
        {
            image.AsSpan(BatOffset + (8 * block), 8).Clear(); // the place is left as it was
        }

        resolver.Add("a.vhdx", image);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            for (var block = 8; block < 11; block++)
            {
                await FillAsync(device, block * MiB, 1);
            }

            Assert.Equal(image.Length, resolver.GetBytes("a.vhdx").Length);
        }

        Assert.Equal(image.Length, resolver.GetBytes("a.vhdx").Length);
        var content = await VhdxFiles.ReadPlainlyAsync(resolver, "a.vhdx");
        for (var block = 8; block < 11; block++)
        {
            Assert.Equal(0x55, content[block * MiB]);
            Assert.False(content.AsSpan((block * MiB) + 1, MiB - 1).ContainsAnyExcept((byte)0));
        }
    }

    [Fact]
    public async Task What_is_trimmed_is_given_back_to_the_medium_a_second_after_it_was_flushed_or_sooner()
    {
        var resolver = await CreateAsync(64);
        var clock = new ManualClock();
        await using var device = await VhdxFiles.OpenAsync(resolver, clock, "a.vhdx");
        await FillAsync(device, 0, 32 * MiB);
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        await using var storage = await resolver.OpenAsync("a.vhdx", StorageOpenOptions.ForReading with { Sharing = StorageSharing.Force });
        var before = storage.Traits.AllocatedBytes!()!.Value;
        Assert.Equal(BlockStatus.Ok, await device.TrimAsync(0, 30 * MiB));
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.InRange(storage.Traits.AllocatedBytes()!.Value, 0, before - (29 * MiB)); // the log took some
    }

    [Fact]
    public async Task On_a_block_device_blocks_go_where_nothing_is_in_use_and_space_ends_with_it()
    {
        var resolver = await CreateAsync(16);
        var image = resolver.GetBytes("a.vhdx");
        var used = image.Length;
        Array.Resize(ref image, used + (5 * MiB) + 4096);
        image.AsSpan(used).Fill(0xEE);
        var volumes = new MemoryStorageResolver { Traits = new StorageTraits { CanWrite = true, IsBlockDevice = true, ExtensionReadsZeros = false } };
        volumes.Add("a.vhdx", image);
        await using (var device = await VhdxFiles.OpenAsync(volumes, "a.vhdx"))
        {
            for (var block = 0; block < 5; block++)
            {
                await FillAsync(device, (block * MiB) + 10, 10);
            }

            Assert.Equal(BlockStatus.NoSpace, await device.WriteBytesAsync(7 * MiB, [1]));
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(0, MiB));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            await FillAsync(device, 7 * MiB, 10);
        }

        Assert.Equal(image.Length, volumes.GetBytes("a.vhdx").Length);
        var expected = new byte[16 * MiB];
        for (var block = 1; block < 5; block++)
        {
            expected.AsSpan((block * MiB) + 10, 10).Fill(0x55);
        }

        expected.AsSpan(7 * MiB, 10).Fill(0x55);
        var content = await VhdxFiles.ReadPlainlyAsync(volumes, "a.vhdx");
        Assert.True(content.AsSpan().SequenceEqual(expected));
    }

    [Theory]
    [InlineData(512, 1, 512)]
    [InlineData(4096, 256, 4096)]
    [InlineData(5 * MiB, 32, 512)]
    [InlineData((3 * MiB) + 1536, 1, 512)]
    [InlineData((33 * MiB) + 512, 32, 512)]
    public async Task Disks_that_end_inside_a_block_hold_their_last_byte(int size, int blockSize, int sectorSize)
    {
        foreach (var kind in new[] { ImageKind.Dynamic, ImageKind.Differencing })
        {
            var resolver = new MemoryStorageResolver();
            var file = new VhdxFile { Size = size, BlockSize = (uint)blockSize * MiB, SectorSize = sectorSize };
            await VhdxFiles.CreateAsync(resolver, "parent.vhdx", file);
            await VhdxFiles.CreateAsync(resolver, "a.vhdx", kind == ImageKind.Dynamic ? file : file with { Kind = kind, Parent = "parent.vhdx" });
            string[] names = kind == ImageKind.Dynamic ? ["a.vhdx"] : ["a.vhdx", "parent.vhdx"];
            var expected = new byte[size];
            await using (var device = await VhdxFiles.OpenAsync(resolver, names))
            {
                await FillAsync(device, size - 1, 1);
                await FillAsync(device, 0, 1);
                Assert.Equal(BlockStatus.OutOfRange, await device.WriteBytesAsync(size, [1]));
            }

            expected[0] = 0x55;
            expected[^1] = 0x55;
            using (var chain = await VhdxFiles.OpenPlainlyAsync(resolver, names))
            {
                Assert.Equal(expected, chain.ReadAll());
            }

            await using (var device = await VhdxFiles.OpenAsync(resolver, names))
            {
                Assert.Equal(expected, await device.ReadBytesAsync(0, size));
                Assert.Equal(BlockStatus.Ok, await device.TrimAsync(0, size));
                await FillAsync(device, size / 2, 1);
            }

            expected.AsSpan().Clear();
            expected[size / 2] = 0x55;
            using (var chain = await VhdxFiles.OpenPlainlyAsync(resolver, names))
            {
                Assert.Equal(expected, chain.ReadAll());
            }
        }
    }

    [Theory]
    [InlineData(ImageKind.Dynamic)]
    [InlineData(ImageKind.Differencing)]
    public async Task The_largest_disk_in_the_smallest_blocks_is_written_everywhere_within_a_small_cache(ImageKind kind)
    {
        const long Size = 64L << 40;
        var resolver = new MemoryStorageResolver();
        var file = new VhdxFile { Size = Size };
        await VhdxFiles.CreateAsync(resolver, "parent.vhdx", file);
        await VhdxFiles.CreateAsync(resolver, "a.vhdx", kind == ImageKind.Dynamic ? file : file with { Kind = kind, Parent = "parent.vhdx" });
        string[] names = kind == ImageKind.Dynamic ? ["a.vhdx"] : ["a.vhdx", "parent.vhdx"];
        var options = new ImageOpenOptions { Writable = true, TableCacheBytes = 1 << 20 };
        var random = new Random(64);
        var offsets = Enumerable.Range(0, 2500).Select(_ => random.NextInt64(Size / 512) * 512).Append(Size - 512).Distinct().ToArray();
        var (opened, layer) = await VhdxFiles.OpenWithLeafAsync(resolver, options, names);
        await using (var device = opened)
        {
            var leaf = (VhdxWriter)layer;
            await Parallel.ForEachAsync(offsets, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (offset, token) =>
            {
                Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, Mark(offset), cancellationToken: token));
                Assert.InRange(leaf.CacheSize, 0, options.TableCacheBytes);
                if (offset % 50 == 0)
                {
                    Assert.Equal(BlockStatus.Ok, await device.FlushAsync(token));
                }
            });
            await Parallel.ForEachAsync(offsets, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (offset, token) =>
            {
                Assert.Equal(Mark(offset), await device.ReadBytesAsync(offset, 512, token));
                Assert.InRange(leaf.CacheSize, 0, options.TableCacheBytes);
            });
        }

        using var chain = await VhdxFiles.OpenPlainlyAsync(resolver, names);
        await using var reader = await VhdxFiles.OpenAsync(resolver, options with { Writable = false }, names);
        foreach (var offset in offsets)
        {
            Assert.Equal(Mark(offset), await reader.ReadBytesAsync(offset, 512));
        }

        foreach (var offset in offsets.Take(200))
        {
            Assert.Equal(Mark(offset), chain.Read(offset, 512));
        }
    }

    private static byte[] Mark(long offset)
    {
        var bytes = new byte[512];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, offset | 1);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(504), ~offset);
        return bytes;
    }

    private static async Task<MemoryStorageResolver> CreateAsync(int sizeInMiB)
    {
        var resolver = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(resolver, "a.vhdx", new VhdxFile { Size = (long)sizeInMiB * MiB });
        return resolver;
    }

    private static async Task FillAsync(ChainDevice device, long offset, int length)
    {
        var bytes = new byte[length];
        Array.Fill(bytes, (byte)0x55);
        Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, bytes));
    }
}
