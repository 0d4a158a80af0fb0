using System.Security.Cryptography;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing;
using NativeBuffer = VhdCore.Testing.NativeBuffer;

namespace VhdCore.Tests.Storage;

/// <summary>What every IStorage does. A storage joins by deriving a class that opens it.</summary>
public abstract class StorageContract
{
    /// <summary>StorageSharing.Force does what it says, which some systems cannot.</summary>
    protected virtual bool ForcedReadersPassWriters => true;

    /// <summary>Opens or creates a storage by a name that the implementation understands.</summary>
    protected abstract ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options);

    /// <summary>The full name of a storage called <paramref name="name"/> in this test's own folder.</summary>
    protected abstract string NameOf(string name);

    protected ValueTask<IStorage> CreateAsync(string name = "a.img") => OpenAsync(NameOf(name), StorageOpenOptions.ForCreating);

    [Fact]
    public async Task A_new_storage_is_empty_and_writable()
    {
        await using var storage = await CreateAsync();

        Assert.Equal(0, storage.Length);
        Assert.True(storage.Traits.CanWrite);
        Assert.False(storage.Traits.IsBlockDevice);
        Assert.Equal(NameOf("a.img"), storage.Name);
    }

    [Fact]
    public async Task Creating_over_what_exists_fails_and_names_it()
    {
        await (await CreateAsync()).DisposeAsync();

        var error = await Assert.ThrowsAsync<StorageException>(async () => await CreateAsync());

        Assert.Contains("a.img", error.Message, StringComparison.Ordinal);
        Assert.Contains("exists", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Opening_what_is_not_there_fails_and_names_it()
    {
        var error = await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(NameOf("none.img"), StorageOpenOptions.ForReading));

        Assert.Contains("none.img", error.Message, StringComparison.Ordinal);
        Assert.Contains("does not exist", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_written_is_read_at_once_and_after_opening_again()
    {
        var content = RandomNumberGenerator.GetBytes(10_000);
        await using (var storage = await CreateAsync())
        {
            Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(123, content));
            Assert.Equal(10_123, storage.Length);
            Assert.Equal(content, await storage.ReadBytesAsync(123, content.Length));
        }

        await using var again = await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForReading);
        Assert.Equal(content, await again.ReadBytesAsync(123, content.Length));
        Assert.Equal(new byte[123], await again.ReadBytesAsync(0, 123));
    }

    [Fact]
    public async Task A_write_behind_the_end_leaves_a_gap_of_zeros()
    {
        await using var storage = await CreateAsync();
        await storage.WriteBytesAsync(0, [1, 2, 3]);

        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(100_000, [4]));

        Assert.Equal(100_001, storage.Length);
        Assert.Equal(new byte[100_000 - 3], await storage.ReadBytesAsync(3, 100_000 - 3));
    }

    [Fact]
    public async Task Fua_is_taken_inside_and_behind_the_end()
    {
        await using var storage = await CreateAsync();

        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [1, 2, 3, 4], WriteFlags.Fua));
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(1, [9], WriteFlags.Fua));

        Assert.Equal([1, 9, 3, 4], await storage.ReadBytesAsync(0, 4));
    }

    [Theory]
    [InlineData(0, 11, BlockStatus.OutOfRange)]
    [InlineData(10, 1, BlockStatus.OutOfRange)]
    [InlineData(11, 0, BlockStatus.OutOfRange)]
    [InlineData(-1, 1, BlockStatus.OutOfRange)]
    [InlineData(long.MaxValue, 1, BlockStatus.OutOfRange)]
    [InlineData(long.MinValue, 1, BlockStatus.OutOfRange)]
    [InlineData(10, 0, BlockStatus.Ok)]
    [InlineData(9, 1, BlockStatus.Ok)]
    [InlineData(0, 10, BlockStatus.Ok)]
    public async Task A_read_must_lie_inside_the_length(long offset, int length, BlockStatus expected)
    {
        await using var storage = await CreateAsync();
        await storage.WriteBytesAsync(0, new byte[10]);
        using var buffer = new NativeBuffer(Math.Max(1, length));

        Assert.Equal(expected, await storage.ReadAsync(offset, buffer.Buffers, 0, length));
    }

    [Fact]
    public async Task A_write_at_an_impossible_offset_changes_nothing()
    {
        await using var storage = await CreateAsync();
        await storage.WriteBytesAsync(0, [1]);

        Assert.Equal(BlockStatus.OutOfRange, await storage.WriteBytesAsync(-1, [2]));
        Assert.NotEqual(BlockStatus.Ok, await storage.WriteBytesAsync(long.MaxValue, [2]));

        Assert.Equal(1, storage.Length);
        Assert.Equal([1], await storage.ReadBytesAsync(0, 1));
    }

    [Fact]
    public async Task An_empty_write_does_not_extend()
    {
        await using var storage = await CreateAsync();
        using var buffer = new NativeBuffer(1);

        Assert.Equal(BlockStatus.Ok, await storage.WriteAsync(1000, buffer.Buffers, 0, 0));

        Assert.Equal(0, storage.Length);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(200)]
    public async Task Scattered_memory_of_odd_sizes_moves_in_order(int runCount)
    {
        await using var storage = await CreateAsync();
        var random = new Random(runCount);
        var lengths = Enumerable.Range(0, runCount).Select(i => i % 7 == 3 ? 0 : random.Next(1, 999)).ToArray();
        using var source = new ScatteredBuffer(lengths);
        using var target = new ScatteredBuffer([.. lengths.Reverse()]);
        var content = new byte[source.Length];
        random.NextBytes(content);
        source.Buffers.CopyFrom(0, content);
        var start = source.Length / 3;
        var length = (source.Length / 2) + 1;

        Assert.Equal(BlockStatus.Ok, await storage.WriteAsync(77, source.Buffers, 0, source.Length));
        Assert.Equal(BlockStatus.Ok, await storage.WriteAsync(77 + source.Length, source.Buffers, start, length, WriteFlags.Fua));
        Assert.Equal(BlockStatus.Ok, await storage.ReadAsync(77, target.Buffers, 0, target.Length));

        Assert.Equal(content, target.ToArray());
        Assert.Equal(content[start..(start + length)], await storage.ReadBytesAsync(77 + source.Length, length));
        target.Buffers.Clear(0, target.Length);
        Assert.Equal(BlockStatus.Ok, await storage.ReadAsync(77 + start, target.Buffers, start, length));
        var expected = new byte[content.Length];
        content.AsSpan(start, length).CopyTo(expected.AsSpan(start));
        Assert.Equal(expected, target.ToArray());
    }

    [Fact]
    public async Task Try_read_moves_true_bytes_from_the_front_and_nothing_else()
    {
        await using var storage = await CreateAsync();
        var content = RandomNumberGenerator.GetBytes(50_000);
        await storage.WriteBytesAsync(0, content);
        using var buffer = new ScatteredBuffer([100, 4096, 1, 0, 30_000]);

        var moved = (int)storage.TryRead(1000, buffer.Buffers, 50, 30_000);

        Assert.InRange(moved, 0, 30_000);
        Assert.Equal(content[1000..(1000 + moved)], buffer.ToArray()[50..(50 + moved)]);
        Assert.Equal(new byte[50], buffer.ToArray()[..50]);
        Assert.Equal(new byte[buffer.Length - 50 - moved], buffer.ToArray()[(50 + moved)..]);
        Assert.Equal(0, storage.TryRead(-1, buffer.Buffers, 0, 10));
        Assert.Equal(0, storage.TryRead(60_000, buffer.Buffers, 0, 10));
    }

    [Fact]
    public async Task Length_can_be_cut_and_grown_and_what_comes_back_is_zeros()
    {
        await using var storage = await CreateAsync();
        await storage.WriteBytesAsync(0, [.. Enumerable.Repeat((byte)7, 9000)]);

        Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(10));
        Assert.Equal(10, storage.Length);
        Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(8000));
        Assert.Equal(8000, storage.Length);
        Assert.Equal(BlockStatus.OutOfRange, await storage.SetLengthAsync(-1));

        Assert.Equal(new byte[7990], await storage.ReadBytesAsync(10, 7990));
        Assert.Equal(7, (await storage.ReadBytesAsync(9, 1))[0]);
        Assert.Equal(8000, storage.Length);
    }

    [Fact]
    public async Task A_punched_hole_reads_as_zeros_or_nothing_was_changed()
    {
        await using var storage = await CreateAsync();
        byte[] ones = [.. Enumerable.Repeat((byte)1, 300_000)];
        await storage.WriteBytesAsync(0, ones);

        var status = await storage.PunchHoleAsync(1000, 200_000);

        if (status == BlockStatus.Unsupported)
        {
            Assert.Equal(ones, await storage.ReadBytesAsync(0, ones.Length));
            return;
        }

        Assert.Equal(BlockStatus.Ok, status);
        ones.AsSpan(1000, 200_000).Clear();
        Assert.Equal(ones, await storage.ReadBytesAsync(0, ones.Length));
        Assert.Equal(300_000, storage.Length);
        Assert.Equal(BlockStatus.OutOfRange, await storage.PunchHoleAsync(299_999, 2));
        Assert.Equal(BlockStatus.Ok, await storage.PunchHoleAsync(300_000, 0));
    }

    [Fact]
    public async Task The_map_covers_everything_and_calls_no_data_a_hole()
    {
        await using var storage = await CreateAsync();
        await storage.SetLengthAsync(8 << 20);
        await storage.WriteBytesAsync(1 << 20, [1]);
        await storage.WriteBytesAsync((5 << 20) + 123, [2]);
        var holes = new List<(long Start, long End)>();

        for (long offset = 0; offset < storage.Length;)
        {
            var run = storage.Map(offset, storage.Length - offset);
            Assert.InRange(run.Length, 1, storage.Length - offset);
            if (run.IsHole)
            {
                holes.Add((offset, offset + run.Length));
            }

            offset += run.Length;
        }

        Assert.DoesNotContain(holes, hole => hole.Start <= 1 << 20 && hole.End > 1 << 20);
        Assert.DoesNotContain(holes, hole => hole.Start <= (5 << 20) + 123 && hole.End > (5 << 20) + 123);
        Assert.Equal(1, storage.Map(1 << 20, 1).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => storage.Map(0, storage.Length + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => storage.Map(-1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => storage.Map(storage.Length, 1));
    }

    [Fact]
    public async Task Flushes_succeed_while_others_write()
    {
        await using var storage = await CreateAsync();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; i < 10; i++)
            {
                Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync((worker * 10) + i, [(byte)worker]));
                Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
            }
        })));

        Assert.Equal(40, storage.Length);
    }

    [Fact]
    public async Task A_storage_open_for_reading_refuses_changes()
    {
        await (await CreateAsync()).DisposeAsync();
        await using var storage = await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForReading);

        Assert.False(storage.Traits.CanWrite);
        Assert.Equal(BlockStatus.ReadOnly, await storage.WriteBytesAsync(0, [1]));
        Assert.Equal(BlockStatus.ReadOnly, await storage.SetLengthAsync(5));
        Assert.Equal(BlockStatus.ReadOnly, await storage.PunchHoleAsync(0, 0));
        Assert.Equal(BlockStatus.ReadOnly, await storage.RenameAsync(NameOf("b.img")));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Equal(0, storage.Length);
    }

    [Fact]
    public async Task A_cancelled_request_does_nothing_and_says_so()
    {
        await using var storage = await CreateAsync();
        var cancelled = new CancellationToken(canceled: true);
        using var buffer = new NativeBuffer(1);

        Assert.Equal(BlockStatus.Cancelled, await storage.WriteBytesAsync(0, [1], cancellationToken: cancelled));
        Assert.Equal(BlockStatus.Cancelled, await storage.SetLengthAsync(9, cancelled));
        Assert.Equal(BlockStatus.Cancelled, await storage.FlushAsync(cancelled));
        Assert.Equal(BlockStatus.Cancelled, await storage.ReadAsync(0, buffer.Buffers, 0, 0, cancelled));
        Assert.Equal(0, storage.Length);
    }

    [Fact]
    public async Task A_closed_storage_says_so()
    {
        var storage = await CreateAsync();
        await storage.WriteBytesAsync(0, [1]);
        await storage.DisposeAsync();
        await storage.DisposeAsync();
        using var buffer = new NativeBuffer(1);

        Assert.Equal(BlockStatus.Closed, await storage.ReadAsync(0, buffer.Buffers, 0, 1));
        Assert.Equal(BlockStatus.Closed, await storage.WriteAsync(0, buffer.Buffers, 0, 1));
        Assert.Equal(BlockStatus.Closed, await storage.FlushAsync());
        Assert.Equal(BlockStatus.Closed, await storage.SetLengthAsync(1));
        Assert.Equal(BlockStatus.Closed, await storage.PunchHoleAsync(0, 1));
        Assert.Equal(BlockStatus.Closed, await storage.RenameAsync(NameOf("b.img")));
        Assert.Equal(0, storage.TryRead(0, buffer.Buffers, 0, 1));
    }

    [Fact]
    public async Task Renaming_replaces_what_had_the_name_and_keeps_the_storage_open()
    {
        await using (var old = await CreateAsync("b.img"))
        {
            await old.WriteBytesAsync(0, [1, 1, 1]);
        }

        await using (var storage = await CreateAsync())
        {
            await storage.WriteBytesAsync(0, [2, 2]);

            Assert.Equal(BlockStatus.Ok, await storage.RenameAsync(NameOf("b.img")));

            Assert.Equal(NameOf("b.img"), storage.Name);
            Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(2, [3]));
        }

        await using var renamed = await OpenAsync(NameOf("b.img"), StorageOpenOptions.ForReading);
        Assert.Equal([2, 2, 3], await renamed.ReadBytesAsync(0, 3));
        await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForReading));
    }

    [Fact]
    public async Task A_writer_excludes_writers_and_readers_and_readers_exclude_writers_only()
    {
        await using (var writer = await CreateAsync())
        {
            await writer.WriteBytesAsync(0, [5]);
            var error = await Assert.ThrowsAsync<ImageInUseException>(async () => await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForWriting));
            Assert.Contains("a.img", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<ImageInUseException>(async () => await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForReading));
            if (ForcedReadersPassWriters)
            {
                await using var forced = await OpenAsync(NameOf("a.img"), new StorageOpenOptions { Sharing = StorageSharing.Force });
                Assert.Equal([5], await forced.ReadBytesAsync(0, 1));
            }
        }

        await using (await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForReading))
        {
            await using var second = await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForReading);
            await Assert.ThrowsAsync<ImageInUseException>(async () => await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForWriting));
        }

        await (await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForWriting)).DisposeAsync();
    }

    [Fact]
    public async Task The_length_is_right_under_writers_and_a_cutter()
    {
        await using var storage = await CreateAsync();
        const int Rounds = 400;
        var writers = Enumerable.Range(0, 3).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; i < Rounds; i++)
            {
                var end = (((worker * 7919) + (i * 104729)) % 50_000) + 1;
                Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(end - 1, [1]));
            }
        }));
        var cutter = Task.Run(async () =>
        {
            for (var i = 0; i < Rounds; i++)
            {
                Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(i * 31 % 20_000));
            }
        });
        await Task.WhenAll(writers.Append(cutter));

        var length = storage.Length;
        await storage.DisposeAsync();
        await using var again = await OpenAsync(NameOf("a.img"), StorageOpenOptions.ForReading);
        Assert.Equal(again.Length, length);
    }

    [Fact]
    public async Task Many_threads_read_and_write_their_own_bytes_at_once()
    {
        await using var storage = await CreateAsync();
        const int Stride = 1021; // no multiple of a page or sector, so that neighbours share both

        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 200; i++)
            {
                var offset = ((i * 8L) + worker) * Stride;
                var content = new byte[Stride];
                random.NextBytes(content);
                Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(offset, content));
                Assert.True(storage.Length >= offset + Stride);
                Assert.Equal(content, await storage.ReadBytesAsync(offset, Stride));
            }
        })));

        Assert.Equal(1600 * Stride, storage.Length);
        for (var worker = 0; worker < 8; worker++)
        {
            var random = new Random(worker);
            for (var i = 0; i < 200; i++)
            {
                var content = new byte[Stride];
                random.NextBytes(content);
                Assert.Equal(content, await storage.ReadBytesAsync(((i * 8L) + worker) * Stride, Stride));
            }
        }
    }
}
