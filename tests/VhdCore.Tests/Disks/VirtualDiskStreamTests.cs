using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Disks;

public sealed class VirtualDiskStreamTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Copying_a_stream_copies_the_disk()
    {
        var image = Image("base.vhd", 1).PutText(3, 300);
        await using var disk = await OpenAsync(Memory(image), "/vm/base.vhd");
        using var asynchronous = new MemoryStream();
        await disk.AsStream().CopyToAsync(asynchronous, Token);
        Assert.Equal(image.Content(), asynchronous.ToArray());
        using var synchronous = new MemoryStream();
        CopySynchronously(disk.AsStream(), synchronous);
        Assert.Equal(image.Content(), synchronous.ToArray());
    }

    [Fact]
    public async Task A_read_ends_at_the_disks_end_and_behind_it_there_is_nothing()
    {
        await using var disk = await OpenAsync(Memory(Image("base.vhd", 1)), "/vm/base.vhd");
        var stream = disk.AsStream();
        Assert.Equal(Size, stream.Length);
        stream.Position = Size - 10;
        var buffer = new byte[100];
        Assert.Equal(10, await stream.ReadAsync(buffer, Token));
        Assert.Equal(0, await stream.ReadAsync(buffer, Token));
        stream.Position = Size + 1000L;
        Assert.Equal(0, ReadSynchronously(stream, buffer));
        Assert.Equal(Size + 1000L, stream.Position);
        Assert.Equal(0, await stream.ReadAsync(Memory<byte>.Empty, Token));
    }

    [Fact]
    public async Task Seeking_moves_from_each_origin_and_never_before_the_start()
    {
        await using var disk = await OpenAsync(Memory(Image("base.vhd", 1)), "/vm/base.vhd");
        var stream = disk.AsStream();
        Assert.Equal(100, stream.Seek(100, SeekOrigin.Begin));
        Assert.Equal(90, stream.Seek(-10, SeekOrigin.Current));
        Assert.Equal(Size - 1, stream.Seek(-1, SeekOrigin.End));
        Assert.Throws<IOException>(() => stream.Seek(-1, SeekOrigin.Begin));
        Assert.Throws<IOException>(() => stream.Seek(long.MaxValue, SeekOrigin.Current));
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.Position = -1);
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.Seek(0, (SeekOrigin)9));
        Assert.Equal(Size - 1, stream.Position);
    }

    [Fact]
    public async Task Writes_land_at_the_position_and_never_pass_the_end()
    {
        var resolver = Memory(Image("base.vhd", 1));
        var disk = await OpenAsync(resolver, "/vm/base.vhd", new() { Writable = true });
        await using (disk)
        {
            var stream = disk.AsStream();
            Assert.True(stream.CanWrite);
            stream.Position = 1000;
            await stream.WriteAsync(new byte[] { 1, 2, 3 }, Token);
            WriteSynchronously(stream, [4, 5]);
            Assert.Equal(1005, stream.Position);
            stream.Position = Size - 1;
            await Assert.ThrowsAsync<NotSupportedException>(async () => await stream.WriteAsync(new byte[] { 1, 2 }, Token));
            stream.WriteByte(9);
            Assert.Throws<NotSupportedException>(() => stream.WriteByte(9));
            Assert.Throws<NotSupportedException>(() => stream.SetLength(5));
            await stream.FlushAsync(Token);
            FlushSynchronously(stream);
        }

        var content = await ReadAllAsync(resolver, "/vm/base.vhd");
        Assert.Equal([0, 1, 2, 3, 4, 5, 0], content.AsSpan(999, 7).ToArray());
        Assert.Equal(9, content[^1]);
    }

    [Fact]
    public async Task A_stream_of_a_disk_that_is_open_for_reading_cannot_write()
    {
        await using var disk = await OpenAsync(Memory(Image("base.vhd", 1)), "/vm/base.vhd");
        var stream = disk.AsStream();
        Assert.False(stream.CanWrite);
        await Assert.ThrowsAsync<NotSupportedException>(async () => await stream.WriteAsync(new byte[1], Token));
        await stream.FlushAsync(Token);
    }

    [Fact]
    public async Task A_closed_stream_refuses_everything_and_leaves_the_disk_open()
    {
        await using var disk = await OpenAsync(Memory(Image("base.vhd", 1)), "/vm/base.vhd");
        var stream = disk.AsStream();
        await stream.DisposeAsync();
        Assert.False(stream.CanRead || stream.CanSeek || stream.CanWrite);
        Assert.Throws<ObjectDisposedException>(() => stream.Length);
        Assert.Throws<ObjectDisposedException>(() => stream.Position);
        Assert.Throws<ObjectDisposedException>(() => stream.ReadByte());
        await ReadAllAsync(disk);
    }

    [Fact]
    public async Task Concurrent_reads_of_one_stream_get_ranges_that_do_not_overlap()
    {
        var image = Image("base.vhd", 1).PutText(0, Size / 512);
        await using var disk = await OpenAsync(Memory(image), "/vm/base.vhd");
        var stream = disk.AsStream();
        var chunks = new System.Collections.Concurrent.ConcurrentBag<byte[]>();
        await Parallel.ForAsync(0, Size / 512, Token, async (_, token) =>
        {
            var chunk = new byte[512];
            await stream.ReadExactlyAsync(chunk, token);
            chunks.Add(chunk);
        });
        Assert.Equal(
            image.Content().Chunk(512).Select(Convert.ToHexString).Order(StringComparer.Ordinal),
            chunks.Select(Convert.ToHexString).Order(StringComparer.Ordinal));
    }

    private static void CopySynchronously(Stream from, Stream to) => from.CopyTo(to);

    private static int ReadSynchronously(Stream stream, byte[] buffer) => stream.Read(buffer, 0, buffer.Length);

    private static void WriteSynchronously(Stream stream, byte[] bytes) => stream.Write(bytes, 0, bytes.Length);

    private static void FlushSynchronously(Stream stream) => stream.Flush();
}
