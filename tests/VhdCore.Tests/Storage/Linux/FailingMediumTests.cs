using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Tests.Storage.Linux;

/// <summary>
/// A real medium that takes writes into the page cache and loses them: ext4 on a loop device whose backing file lies, sparse, on a file system in
/// memory that is far too small for it.
/// </summary>
public sealed class FailingMediumTests : IDisposable
{
    private const int MiB = 1 << 20;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_failed_flush_stays_failed_refuses_changes_and_lets_reads_go_on(bool usePortablePath)
    {
        using var memory = TemporaryMount.Tmpfs(_folder["memory"], sizeMiB: 8);
        using var medium = TemporaryMount.Image(_folder["medium"], MakeFileSystem(memory));
        await using var storage = FileStorage.Open(Path.Combine(medium.Path, "a.img"), StorageOpenOptions.ForCreating, usePortablePath);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [1, 2, 3]));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(4096, new byte[16 * MiB]));

        Assert.Equal(BlockStatus.IoError, await storage.FlushAsync());

        Assert.Equal(BlockStatus.IoError, await storage.FlushAsync());
        Assert.Equal(BlockStatus.ReadOnly, await storage.WriteBytesAsync(0, [4]));
        Assert.Equal(BlockStatus.ReadOnly, await storage.WriteBytesAsync(0, [4], WriteFlags.Fua));
        Assert.Equal(BlockStatus.ReadOnly, await storage.SetLengthAsync(1));
        Assert.Equal(BlockStatus.ReadOnly, await storage.PunchHoleAsync(0, 1));
        Assert.Equal(BlockStatus.ReadOnly, await storage.RenameAsync(Path.Combine(medium.Path, "b.img")));
        Assert.Equal([1, 2, 3], await storage.ReadBytesAsync(0, 3));
    }

    [Fact]
    public async Task A_write_with_fua_that_did_not_reach_the_medium_counts_as_a_failed_flush()
    {
        using var memory = TemporaryMount.Tmpfs(_folder["memory"], sizeMiB: 8);
        using var medium = TemporaryMount.Image(_folder["medium"], MakeFileSystem(memory));
        await using var storage = FileStorage.Open(Path.Combine(medium.Path, "a.img"), StorageOpenOptions.ForCreating);

        Assert.Equal(BlockStatus.IoError, await storage.WriteBytesAsync(0, new byte[16 * MiB], WriteFlags.Fua));

        Assert.Equal(BlockStatus.IoError, await storage.FlushAsync());
        Assert.Equal(BlockStatus.ReadOnly, await storage.WriteBytesAsync(0, [4]));
    }

    // Without a journal, whose loss would make the whole file system read-only and so hide what is tested.
    private static string MakeFileSystem(TemporaryMount memory)
    {
        var image = Path.Combine(memory.Path, "fs");
        using (var file = File.OpenHandle(image, FileMode.CreateNew, FileAccess.Write))
        {
            RandomAccess.SetLength(file, 64 * MiB);
        }

        Tools.Run("mkfs.ext4", "-q", "-O", "^has_journal", image).EnsureSuccess();
        return image;
    }
}
