using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Storage.Linux;
using VhdCore.Testing;
using NativeBuffer = VhdCore.Testing.NativeBuffer;

namespace VhdCore.Tests.Storage;

/// <summary>What files do beside the contract of every storage; each test over both paths to the operating system.</summary>
public sealed class FileStorageTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reading_a_file_that_was_cut_beneath_is_out_of_range_and_never_zeros(bool usePortablePath)
    {
        File.WriteAllBytes(_folder["a.img"], [.. Enumerable.Repeat((byte)1, 20_000)]);
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForReading, usePortablePath);
        Tools.Run("truncate", "-s", "5000", _folder["a.img"]).EnsureSuccess();
        using var buffer = new ScatteredBuffer([3000, 7000]);

        Assert.Equal(BlockStatus.OutOfRange, await storage.ReadAsync(0, buffer.Buffers, 0, 10_000));
        Assert.Equal(BlockStatus.OutOfRange, await storage.ReadAsync(6000, buffer.Buffers, 0, 1));
        Assert.Equal(BlockStatus.Ok, await storage.ReadAsync(0, buffer.Buffers, 0, 5000));
        Assert.False(storage.Map(6000, 1000).IsHole);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_larger_than_the_file_system_allows_is_no_space(bool usePortablePath)
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating, usePortablePath);
        await storage.WriteBytesAsync(0, [1]);
        const long FourEiB = 4L << 60;
        Assert.SkipUnless(OperatingSystem.IsLinux() && IsExt(_folder.Path), "The temporary folder's file system may allow 4 EiB.");

        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(FourEiB, [2]));
        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(FourEiB, [2], WriteFlags.Fua));
        Assert.Equal(BlockStatus.NoSpace, await storage.SetLengthAsync(FourEiB));

        Assert.Equal(1, storage.Length);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(1, [3], WriteFlags.Fua));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_full_medium_is_no_space_and_reads_and_overwrites_go_on(bool usePortablePath)
    {
        using var mount = TemporaryMount.Tmpfs(_folder["small"], sizeMiB: 1);
        await using var storage = FileStorage.Open(Path.Combine(mount.Path, "a.img"), StorageOpenOptions.ForCreating, usePortablePath);
        var half = new byte[512 << 10];
        half.AsSpan().Fill(1);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, half));

        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(half.Length, new byte[2 << 20]));
        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(half.Length, new byte[2 << 20], usePortablePath ? WriteFlags.None : WriteFlags.Fua));
        Assert.Equal(new FileInfo(storage.Name).Length, storage.Length);

        half.AsSpan().Fill(2);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, half, WriteFlags.Fua));
        Assert.Equal(half, await storage.ReadBytesAsync(0, half.Length));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(half.Length));
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(half.Length, [3]));
    }

    [Fact]
    public async Task A_rename_to_another_file_system_fails_and_keeps_the_name()
    {
        using var mount = TemporaryMount.Tmpfs(_folder["other"], sizeMiB: 1);
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating);

        Assert.Equal(BlockStatus.IoError, await storage.RenameAsync(Path.Combine(mount.Path, "b.img")));

        Assert.Equal(_folder["a.img"], storage.Name);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [1]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whoever_opens_a_name_while_it_is_replaced_finds_one_whole_content(bool usePortablePath)
    {
        var target = _folder["disk.img"];
        await File.WriteAllBytesAsync(target, Content(0));
        using var done = new CancellationTokenSource();
        var isWatching = new TaskCompletionSource();
        var watcher = Task.Run(async () =>
        {
            while (!done.IsCancellationRequested)
            {
                await using var storage = FileStorage.Open(target, new StorageOpenOptions { Sharing = StorageSharing.Force });
                var content = await storage.ReadBytesAsync(0, (int)storage.Length);
                Assert.Equal(Content(content[0]), content);
                isWatching.TrySetResult();
            }
        });
        await Task.WhenAny(isWatching.Task, watcher);

        for (byte i = 1; i <= 50; i++)
        {
            await using var storage = FileStorage.Open(_folder["disk.img.tmp"], StorageOpenOptions.ForCreating, usePortablePath);
            await storage.WriteBytesAsync(0, Content(i));
            Assert.Equal(BlockStatus.Ok, await storage.RenameAsync(target));
        }

        await done.CancelAsync();
        await watcher;
        Assert.True(isWatching.Task.IsCompletedSuccessfully);
        Assert.Equal(Content(50), await File.ReadAllBytesAsync(target));

        static byte[] Content(byte value) => [.. Enumerable.Repeat(value, 10_000)];
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_rename_moves_between_folders(bool usePortablePath)
    {
        Directory.CreateDirectory(_folder["one"]);
        Directory.CreateDirectory(_folder["two"]);
        await using var storage = FileStorage.Open(_folder["one/a.img"], StorageOpenOptions.ForCreating, usePortablePath);

        Assert.Equal(BlockStatus.Ok, await storage.RenameAsync(_folder["two/b.img"]));
        Assert.Equal(BlockStatus.Ok, await storage.RenameAsync(_folder["one/c.img"]));

        Assert.Equal(["c.img"], Directory.GetFiles(_folder["one"]).Select(Path.GetFileName));
        Assert.Empty(Directory.GetFiles(_folder["two"]));
        Assert.Equal(_folder["one/c.img"], storage.Name);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_range_outside_the_request_s_memory_is_a_mistake_of_the_caller(bool usePortablePath)
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating, usePortablePath);
        await storage.SetLengthAsync(100);
        using var buffer = new NativeBuffer(10);

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await storage.ReadAsync(0, buffer.Buffers, 1, 10));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await storage.WriteAsync(0, buffer.Buffers, 11, 1));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await storage.WriteAsync(0, buffer.Buffers, -1, 1));
    }

    private static bool IsExt(string folder)
    {
        using var file = File.OpenHandle(Path.Combine(folder, "probe"), FileMode.Create, FileAccess.Write);
        return LinuxFileSystem.TypeOf(file) == 0xEF53;
    }
}
