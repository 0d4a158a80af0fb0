using VhdCore.Errors;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Tests.TestMedia;

public class MemoryStorageTests
{
    [Fact]
    public async Task What_is_written_is_read_and_the_gap_before_it_reads_zeros()
    {
        await using var storage = new MemoryStorage();
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(10_000, [1, 2, 3]));
        Assert.Equal(10_003, storage.Length);
        Assert.Equal([0, 0, 1, 2, 3], await storage.ReadBytesAsync(9_998, 5));
    }

    [Fact]
    public async Task Two_tebibytes_of_length_take_one_page()
    {
        await using var storage = new MemoryStorage();
        Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(2L << 40));
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync((1L << 40) + 5, [9]));
        Assert.Equal(4096, storage.Traits.AllocatedBytes!());
        Assert.Equal(new StorageRun(true, 1L << 40), storage.Map(0, 2L << 40));
        Assert.Equal(new StorageRun(false, 4096), storage.Map(1L << 40, 1L << 40));
        Assert.Equal(new StorageRun(true, (1L << 40) - 4096), storage.Map((1L << 40) + 4096, (1L << 40) - 4096));
    }

    [Theory]
    [InlineData(0, 11)]
    [InlineData(10, 1)]
    [InlineData(-1, 1)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(11, 0)]
    public async Task Reading_past_the_end_is_out_of_range(long offset, int length)
    {
        await using var storage = new MemoryStorage();
        await storage.SetLengthAsync(10);
        using var buffer = new NativeBuffer(length);
        Assert.Equal(BlockStatus.OutOfRange, await storage.ReadAsync(offset, buffer.Buffers, 0, length));
    }

    [Fact]
    public async Task Trying_to_read_past_the_end_moves_what_there_is()
    {
        await using var storage = new MemoryStorage();
        await storage.WriteBytesAsync(0, [1, 2, 3]);
        using var buffer = new NativeBuffer(8);
        Assert.Equal(2, storage.TryRead(1, buffer.Buffers, 0, 8));
        Assert.Equal(0, storage.TryRead(3, buffer.Buffers, 0, 8));
        Assert.Equal([2, 3, 0], buffer.Span[..3].ToArray());
    }

    [Fact]
    public async Task Truncated_bytes_are_zero_when_the_storage_grows_again()
    {
        await using var storage = new MemoryStorage();
        await storage.WriteBytesAsync(0, [.. Enumerable.Repeat((byte)7, 10_000)]);
        await storage.SetLengthAsync(5);
        await storage.SetLengthAsync(10_000);
        Assert.Equal([7, 7, 0, 0], await storage.ReadBytesAsync(3, 4));
        Assert.Equal(0, (await storage.ReadBytesAsync(9_999, 1))[0]);
    }

    [Fact]
    public async Task A_punched_range_reads_zeros_and_whole_pages_of_it_become_holes()
    {
        await using var storage = new MemoryStorage();
        await storage.WriteBytesAsync(0, [.. Enumerable.Repeat((byte)7, 16_384)]);
        Assert.Equal(BlockStatus.Ok, await storage.PunchHoleAsync(100, 9_000));
        var content = storage.ToArray();
        Assert.All(content[..100], value => Assert.Equal(7, value));
        Assert.All(content[100..9_100], value => Assert.Equal(0, value));
        Assert.All(content[9_100..], value => Assert.Equal(7, value));
        Assert.Equal(new StorageRun(false, 4096), storage.Map(0, 16_384));
        Assert.Equal(new StorageRun(true, 4096), storage.Map(4096, 12_288));
        Assert.Equal(16_384, storage.Length);
    }

    [Fact]
    public async Task A_block_device_neither_grows_nor_shrinks()
    {
        var resolver = new MemoryStorageResolver { Traits = new StorageTraits { CanWrite = true, IsBlockDevice = true } };
        resolver.Add("/dev/disk", new byte[1024]);
        await using var storage = await resolver.OpenAsync("/dev/disk", StorageOpenOptions.ForWriting, TestContext.Current.CancellationToken);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(1023, [1]));
        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(1023, [1, 2]));
        Assert.Equal(BlockStatus.Unsupported, await storage.SetLengthAsync(512));
        Assert.Equal(1024, storage.Length);
    }

    [Fact]
    public async Task A_writer_excludes_everybody_but_a_reader_that_insists()
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/a", [1]);
        await using (await resolver.OpenAsync("/a", StorageOpenOptions.ForWriting))
        {
            await Assert.ThrowsAsync<ImageInUseException>(async () => await resolver.OpenAsync("/a", StorageOpenOptions.ForReading));
            await Assert.ThrowsAsync<ImageInUseException>(async () => await resolver.OpenAsync("/a", StorageOpenOptions.ForWriting));
            await using var insisting = await resolver.OpenAsync("/a", new StorageOpenOptions { Sharing = StorageSharing.Force });
            Assert.Equal(1, insisting.Length);
        }

        await using var reader = await resolver.OpenAsync("/a", StorageOpenOptions.ForReading);
        await using var second = await resolver.OpenAsync("/a", StorageOpenOptions.ForReading);
        await Assert.ThrowsAsync<ImageInUseException>(async () => await resolver.OpenAsync("/a", StorageOpenOptions.ForWriting));
        Assert.Equal(BlockStatus.ReadOnly, await reader.WriteBytesAsync(0, [2]));
    }

    [Fact]
    public async Task Renaming_replaces_what_had_the_name_and_leaves_its_readers_alone()
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/folder/old", [1]);
        await using var reader = await resolver.OpenAsync("/folder/old", StorageOpenOptions.ForReading);
        await using (var created = await resolver.OpenAsync("/folder/new.tmp", StorageOpenOptions.ForCreating))
        {
            await created.WriteBytesAsync(0, [2]);
            Assert.Equal(BlockStatus.Ok, await created.RenameAsync("/folder/old"));
            Assert.Equal("/folder/old", created.Name);
        }

        Assert.Equal(["/folder/old"], resolver.Names);
        Assert.Equal([2], resolver.GetBytes("/folder/old"));
        Assert.Equal([1], await reader.ReadBytesAsync(0, 1));
    }

    [Theory]
    [InlineData("/a/b/c.vhd", "parent.vhd", "/a/b/parent.vhd")]
    [InlineData("/a/b/c.vhd", "../parent.vhd", "/a/parent.vhd")]
    [InlineData("/a/b/c.vhd", "./x/../parent.vhd", "/a/b/parent.vhd")]
    [InlineData("/a/b/c.vhd", "/other/parent.vhd", "/other/parent.vhd")]
    [InlineData("c.vhd", "parent.vhd", "/parent.vhd")]
    public void Names_combine_as_paths_do(string baseName, string relativeName, string expected) =>
        Assert.Equal(expected, new MemoryStorageResolver().Combine(baseName, relativeName));

    [Fact]
    public async Task A_closed_storage_says_so()
    {
        var storage = new MemoryStorage();
        await storage.DisposeAsync();
        Assert.Equal(BlockStatus.Closed, await storage.WriteBytesAsync(0, [1]));
        Assert.Equal(BlockStatus.Closed, await storage.FlushAsync());
    }
}
