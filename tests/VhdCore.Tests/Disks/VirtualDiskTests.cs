using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Disks;

public sealed class VirtualDiskTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_written_is_read_at_any_alignment_and_after_opening_again()
    {
        var root = Image("base.vhd", 1).PutText(0, 100);
        var leaf = Image("leaf.vhd", 2, root, PlainDialect.Windows).PutText(90, 20);
        var resolver = Memory(root, leaf);
        var expected = leaf.Content();
        var random = new Random(7);
        var disk = await OpenAsync(resolver, "/vm/leaf.vhd", new() { Writable = true });
        await using (disk)
        {
            for (var i = 0; i < 50; i++)
            {
                var bytes = new byte[random.Next(5000)];
                random.NextBytes(bytes);
                var offset = random.Next(Size - bytes.Length);
                bytes.CopyTo(expected, offset);
                await disk.WriteAsync(offset, bytes, i % 5 == 0 ? WriteFlags.Fua : WriteFlags.None, Token);
            }

            await disk.FlushAsync(Token);
            Assert.Equal(expected, await ReadAllAsync(disk));
            var part = new byte[777];
            await disk.ReadAsync(12_345, part, Token);
            Assert.Equal(expected.AsSpan(12_345, 777).ToArray(), part);
        }

        Assert.Equal(expected, await ReadAllAsync(resolver, "/vm/leaf.vhd"));
        Assert.Equal(root.Build(), resolver.GetBytes("/vm/base.vhd"));
    }

    [Fact]
    public async Task Zeroed_and_trimmed_ranges_never_show_the_parent()
    {
        var root = Image("base.vhd", 1).PutText(0, Size / 512);
        var resolver = Memory(root, Image("leaf.vhd", 2, root));
        var disk = await OpenAsync(resolver, "/vm/leaf.vhd", new() { Writable = true });
        await using (disk)
        {
            await disk.ZeroAsync(100, 70_000, cancellationToken: Token);
            await disk.WriteAsync(200_000, new byte[10], cancellationToken: Token);
            await disk.TrimAsync(0, Size, Token);
            var content = await ReadAllAsync(disk);
            Assert.All(content.AsSpan(100, 70_000).ToArray(), value => Assert.Equal(0, value));
        }
    }

    [Fact]
    public async Task A_range_outside_the_disk_is_the_callers_mistake()
    {
        var resolver = Memory(Image("base.vhd", 1));
        var disk = await OpenAsync(resolver, "/vm/base.vhd", new() { Writable = true });
        await using (disk)
        {
            foreach (var offset in (long[])[-1, Size - 4, Size, long.MaxValue, long.MinValue])
            {
                await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await disk.ReadAsync(offset, new byte[5], Token));
                await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await disk.WriteAsync(offset, new byte[5], cancellationToken: Token));
                await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await disk.ZeroAsync(offset, 5, cancellationToken: Token));
                await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await disk.TrimAsync(offset, 5, Token));
            }

            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await disk.ZeroAsync(0, -1, cancellationToken: Token));
            await disk.ReadAsync(Size, Memory<byte>.Empty, Token);
        }
    }

    [Fact]
    public async Task A_disk_that_is_open_for_reading_refuses_writes_with_its_name()
    {
        var disk = await OpenAsync(Memory(Image("base.vhd", 1)), "/vm/base.vhd");
        await using (disk)
        {
            Assert.True(disk.IsReadOnly);
            var exception = await Assert.ThrowsAsync<StorageException>(async () => await disk.WriteAsync(0, new byte[1], cancellationToken: Token));
            Assert.Equal((BlockStatus.ReadOnly, "/vm/base.vhd"), (exception.Status, exception.Path));
            await disk.FlushAsync(Token);
        }
    }

    [Fact]
    public async Task A_closed_disk_says_so_and_closing_twice_does_nothing()
    {
        var disk = await OpenAsync(Memory(Image("base.vhd", 1)), "/vm/base.vhd", new() { Writable = true });
        await disk.DisposeAsync();
        await disk.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await disk.ReadAsync(0, new byte[1], Token));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await disk.FlushAsync(Token));
    }

    [Fact]
    public async Task A_cancelled_request_says_so()
    {
        var disk = await OpenAsync(Memory(Image("base.vhd", 1).PutText(0, 10)), "/vm/base.vhd", new() { Writable = true });
        await using (disk)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await disk.WriteAsync(0, new byte[512], WriteFlags.Fua, new CancellationToken(canceled: true)));
        }
    }

    [Fact]
    public async Task Extents_cover_the_disk_and_say_which_image_answers()
    {
        var root = Image("base.vhd", 1).PutText(0, 128);
        var leaf = Image("leaf.vhd", 2, root).PutText(64, 64);
        var disk = await OpenAsync(Memory(root, leaf), "/vm/leaf.vhd");
        await using (disk)
        {
            var runs = await disk.GetExtentsAsync(Token).ToListAsync(Token);
            Assert.Equal(
                [(0L, 32768L, 1, true, false), (32768L, 32768L, 0, true, false), (65536L, Size - 65536L, 1, false, true)],
                runs.Select(run => (run.Offset, run.Length, run.Depth, run.IsPresent, run.IsZero)));
        }
    }

    [Fact]
    public async Task Concurrent_requests_at_their_own_offsets_do_not_disturb_each_other()
    {
        var resolver = Memory(Image("base.vhd", 1));
        var disk = await OpenAsync(resolver, "/vm/base.vhd", new() { Writable = true });
        await using (disk)
        {
            const int Part = Size / 16;
            await Parallel.ForAsync(0, 16, Token, async (i, token) =>
            {
                var bytes = new byte[Part];
                Array.Fill(bytes, (byte)(i + 1));
                for (var at = 0; at < Part; at += 100)
                {
                    await disk.WriteAsync((i * Part) + at, bytes.AsMemory(at, Math.Min(100, Part - at)), cancellationToken: token);
                }

                var back = new byte[Part];
                await disk.ReadAsync(i * Part, back, token);
                Assert.Equal(bytes, back);
            });
        }

        var content = await ReadAllAsync(resolver, "/vm/base.vhd");
        Assert.Equal(Enumerable.Range(0, Size).Select(at => (byte)((at / (Size / 16)) + 1)), content);
    }

    [Fact]
    public async Task An_image_with_a_wrong_checksum_opens_when_a_person_says_so()
    {
        var bytes = Image("base.vhd", 1).PutText(0, 1).Build();
        bytes[512 + 100] ^= 1; // in the dynamic header
        var resolver = new MemoryStorageResolver();
        resolver.Add("/x.vhd", bytes);
        await Assert.ThrowsAsync<CorruptImageException>(async () => await OpenAsync(resolver, "/x.vhd"));
        var disk = await OpenAsync(resolver, "/x.vhd", new() { IgnoreBadChecksum = true });
        await using (disk)
        {
            Assert.Single(disk.Images[0].Warnings);
        }
    }

    [Fact]
    public async Task A_VHD_opened_as_raw_shows_its_own_bytes()
    {
        var bytes = Image("base.vhd", 1).PutText(0, 1).Build();
        var resolver = new MemoryStorageResolver();
        resolver.Add("/x.vhd", bytes);
        Assert.Equal(bytes, await ReadAllAsync(resolver, "/x.vhd", new() { Format = ImageFormat.Raw }));
    }
}
