using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing;
using NativeBuffer = VhdCore.Testing.NativeBuffer;

namespace VhdCore.Tests.Storage.Linux;

/// <summary>Media that are full, fail or change beneath a file, over every engine: the right status, and nothing lost that was flushed.</summary>
public sealed class EngineFailureTests : IDisposable
{
    private const int MiB = 1 << 20;

    private readonly TempFolder _folder = new();

    public static TheoryData<string> Ways => ["ring", "direct ring", "threads", "direct threads"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_file_that_was_cut_beneath_is_out_of_range_and_never_zeros(string way)
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating with { Io = Io(way) });
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [.. Enumerable.Repeat((byte)1, 64 << 10)]));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Tools.Run("truncate", "-s", "5000", _folder["a.img"]).EnsureSuccess();
        using var buffer = new NativeBuffer(32 << 10);

        Assert.Equal(BlockStatus.OutOfRange, await storage.ReadAsync(0, buffer.Buffers, 0, 32 << 10));
        Assert.Equal(BlockStatus.OutOfRange, await storage.ReadAsync(8192, buffer.Buffers, 0, 4096));
        Assert.Equal(BlockStatus.Ok, await storage.ReadAsync(0, buffer.Buffers, 0, 5000));
        Assert.Equal(5000, buffer.Span[..5000].Count((byte)1));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_full_file_system_is_no_space_and_what_was_flushed_stays(string way)
    {
        using var mount = TemporaryMount.Image(_folder["small"], MakeFileSystem(_folder["fs"], 16 * MiB));
        await using var storage = FileStorage.Open(Path.Combine(mount.Path, "a.img"), StorageOpenOptions.ForCreating with { Io = Io(way) });
        var content = new byte[MiB];
        new Random(3).NextBytes(content);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, content));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(64 * MiB));

        // Into holes of the file, many at once: some find room, and the others are told.
        using var buffer = new NativeBuffer(MiB);
        var statuses = await Task.WhenAll(Enumerable.Range(1, 63).Select(i => storage.WriteAsync((long)i * MiB, buffer.Buffers, 0, MiB).AsTask()));

        Assert.Contains(BlockStatus.NoSpace, statuses);
        Assert.DoesNotContain(statuses, status => status is not (BlockStatus.Ok or BlockStatus.NoSpace));
        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(Array.IndexOf(statuses, BlockStatus.NoSpace) * (long)MiB + MiB, content, WriteFlags.Fua));
        Assert.Equal(content, await storage.ReadBytesAsync(0, MiB));
        content.AsSpan().Reverse();
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, content, WriteFlags.Fua));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Equal(content, await storage.ReadBytesAsync(0, MiB));
    }

    /// <summary>A block device that loses what its backing has no room for, after the page cache has taken it.</summary>
    [Theory]
    [InlineData("ring")]
    [InlineData("threads")]
    public async Task A_failed_flush_ends_all_writing_and_lets_reads_go_on(string way)
    {
        using var memory = TemporaryMount.Tmpfs(_folder["memory"], sizeMiB: 8);
        using var mount = TemporaryMount.Image(_folder["medium"], MakeFileSystem(Path.Combine(memory.Path, "fs"), 64 * MiB));
        await using var storage = await CreateAsync(mount, way);
        using var buffer = new NativeBuffer(16 * MiB);
        buffer.Span.Fill(1);

        Assert.Equal(BlockStatus.IoError, await storage.WriteAsync(MiB, buffer.Buffers, 0, buffer.Length, WriteFlags.Fua));

        Assert.Equal(BlockStatus.IoError, await storage.FlushAsync());
        Assert.Equal(BlockStatus.ReadOnly, await storage.WriteBytesAsync(0, [4]));
        Assert.Equal(BlockStatus.ReadOnly, await storage.SetLengthAsync(1));
        Assert.Equal(BlockStatus.ReadOnly, await storage.PunchHoleAsync(0, 1));
        Assert.Equal([1, 2, 3], await storage.ReadBytesAsync(0, 3));
    }

    /// <summary>The same device says so at once when nothing lies between.</summary>
    [Theory]
    [InlineData("direct ring")]
    [InlineData("direct threads")]
    public async Task A_device_without_room_is_no_space_and_overwrites_go_on(string way)
    {
        using var memory = TemporaryMount.Tmpfs(_folder["memory"], sizeMiB: 8);
        using var mount = TemporaryMount.Image(_folder["medium"], MakeFileSystem(Path.Combine(memory.Path, "fs"), 64 * MiB));
        await using var storage = await CreateAsync(mount, way);
        using var buffer = new NativeBuffer(16 * MiB);
        buffer.Span.Fill(1);

        Assert.Equal(BlockStatus.NoSpace, await storage.WriteAsync(MiB, buffer.Buffers, 0, buffer.Length, WriteFlags.Fua));

        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(1, [4]));
        Assert.Equal([1, 4, 3], await storage.ReadBytesAsync(0, 3));
    }

    [Fact]
    public async Task A_sector_that_cannot_be_read_is_an_io_error()
    {
        using var memory = TemporaryMount.Tmpfs(_folder["memory"], sizeMiB: 8);
        var image = MakeFileSystem(Path.Combine(memory.Path, "fs"), 64 * MiB);
        using var mount = TemporaryMount.Image(_folder["medium"], image);
        await using var storage = FileStorage.Open(Path.Combine(mount.Path, "a.img"), StorageOpenOptions.ForCreating with { Io = Io("direct ring") });
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, new byte[4 * MiB]));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());

        Tools.Run("truncate", "-s", "1M", image).EnsureSuccess(); // the device ends where its backing does

        using var buffer = new NativeBuffer(4 * MiB);
        Assert.Equal(BlockStatus.IoError, await storage.ReadAsync(0, buffer.Buffers, 0, 4 * MiB));
    }

    private static async Task<FileStorage> CreateAsync(TemporaryMount mount, string way)
    {
        var storage = FileStorage.Open(Path.Combine(mount.Path, "a.img"), StorageOpenOptions.ForCreating with { Io = Io(way) });
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [1, 2, 3]));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(32 * MiB));
        return storage;
    }

    private static IoSettings Io(string way) => Engines.Require(way switch
    {
        "ring" => Engines.Ring,
        "direct ring" => Engines.DirectRing,
        "threads" => Engines.Threads,
        _ => Engines.DirectThreads,
    });

    // Without a journal, whose loss would make the whole file system read-only and so hide what is tested.
    private static string MakeFileSystem(string image, long size)
    {
        using (var file = File.OpenHandle(image, FileMode.CreateNew, FileAccess.Write))
        {
            RandomAccess.SetLength(file, size);
        }

        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Mounting needs root.");
        Tools.Run("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", image).EnsureSuccess();
        return image;
    }
}
