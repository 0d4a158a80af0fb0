using VhdCore.Errors;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Tests.Storage;

/// <summary>Statuses become exceptions that name file, place and structure.</summary>
public sealed class StorageExtensionsTests
{
    [Fact]
    public async Task Whole_structures_are_written_and_read()
    {
        await using var storage = new MemoryStorage("/disk.vhd");

        await storage.WriteExactAsync(5, new byte[] { 1, 2, 3 });
        await storage.FlushOrThrowAsync();
        await storage.SetLengthOrThrowAsync(7);
        var bytes = new byte[4];
        await storage.ReadExactAsync(3, bytes);
        await storage.ReadExactAsync(7, Memory<byte>.Empty);

        Assert.Equal([0, 0, 1, 2], bytes);
        Assert.Equal([0, 0, 0, 0, 0, 1, 2], storage.ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(99)]
    [InlineData(long.MaxValue)]
    [InlineData(-1)]
    public async Task A_structure_behind_the_end_is_a_corrupt_image_by_place(long offset)
    {
        await using var storage = new MemoryStorage("/disk.vhd");
        await storage.SetLengthAsync(100);

        var error = await Assert.ThrowsAsync<CorruptImageException>(async () => await storage.ReadExactAsync(offset, new byte[512], "the dynamic disk header"));

        Assert.Equal("/disk.vhd", error.Path);
        Assert.Equal(offset, error.FileOffset);
        Assert.Contains("ends before the dynamic disk header", error.Message, StringComparison.Ordinal);
        Assert.Contains("has 100", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_carries_its_status_and_says_what_was_tried()
    {
        await using var storage = new MemoryStorage("/disk.vhd", new StorageTraits { CanWrite = false });

        var error = await Assert.ThrowsAsync<StorageException>(async () => await storage.WriteExactAsync(512, new byte[512]));

        Assert.Equal(BlockStatus.ReadOnly, error.Status);
        Assert.Equal(512, error.FileOffset);
        Assert.Equal("/disk.vhd", error.Path);
        Assert.Contains("writing 512 bytes at byte 512 failed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancelling_is_the_exception_for_that()
    {
        await using var storage = new MemoryStorage("/disk.vhd");
        var cancelled = new CancellationToken(canceled: true);

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await storage.FlushOrThrowAsync(cancelled));

        Assert.Equal(cancelled, error.CancellationToken);
    }

    [Fact]
    public async Task Every_status_but_ok_throws()
    {
        await using var storage = new MemoryStorage("/disk.vhd");

        BlockStatus.Ok.ThrowIfFailed(storage, "testing", fileOffset: null);
        foreach (var status in Enum.GetValues<BlockStatus>().Where(status => status is not BlockStatus.Ok and not BlockStatus.Cancelled))
        {
            var error = Assert.Throws<StorageException>(() => status.ThrowIfFailed(storage, "testing", fileOffset: null));
            Assert.Equal(status, error.Status);
            Assert.EndsWith(".", error.Message, StringComparison.Ordinal);
        }
    }
}
