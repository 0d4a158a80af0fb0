using System.Globalization;
using System.Runtime.Versioning;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Storage.Linux;
using VhdCore.Testing;
using NativeBuffer = VhdCore.Testing.NativeBuffer;

namespace VhdCore.Tests.Storage.Linux;

[SupportedOSPlatform("linux")]
public sealed class LinuxFileStorageTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public LinuxFileStorageTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only.");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_map_shows_holes_where_the_file_system_knows_them()
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating);
        await storage.SetLengthAsync(16 << 20);
        await storage.WriteBytesAsync(4 << 20, new byte[1 << 20]);
        Assert.SkipUnless(storage.Map(0, 16 << 20).IsHole, "The temporary folder's file system tells of no holes.");

        Assert.Equal(new StorageRun(IsHole: true, 4 << 20), storage.Map(0, 16 << 20));
        Assert.Equal(new StorageRun(IsHole: true, 100), storage.Map(0, 100));
        Assert.Equal(new StorageRun(IsHole: false, 1 << 20), storage.Map(4 << 20, 12 << 20));
        Assert.Equal(new StorageRun(IsHole: false, 7), storage.Map((4 << 20) + 5, 7));
        Assert.Equal(new StorageRun(IsHole: true, 11 << 20), storage.Map(5 << 20, 11 << 20));
    }

    [Fact]
    public async Task A_punched_hole_gives_its_space_back()
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating);
        await storage.WriteBytesAsync(0, [.. Enumerable.Repeat((byte)1, 4 << 20)]);
        await storage.FlushAsync();
        var before = storage.Traits.AllocatedBytes!();

        var status = await storage.PunchHoleAsync(1 << 20, 2 << 20);

        Assert.SkipWhen(status == BlockStatus.Unsupported, "The temporary folder's file system punches no holes.");
        Assert.Equal(BlockStatus.Ok, status);
        Assert.InRange(before!.Value, 4 << 20, 5 << 20);
        Assert.InRange(storage.Traits.AllocatedBytes!()!.Value, 2 << 20, 3 << 20);
        Assert.True(storage.Map(1 << 20, 1).IsHole);
        Assert.Equal(4 << 20, storage.Length);
    }

    [Fact]
    public async Task The_open_file_passes_to_no_other_program_and_blocks_as_usual()
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating);
        const int Nonblock = 0x800, Cloexec = 0x80000;

        var descriptors = Directory.GetFiles("/proc/self/fd").Where(link => new FileInfo(link).LinkTarget == _folder["a.img"]).ToList();

        var info = File.ReadAllLines($"/proc/self/fdinfo/{Path.GetFileName(Assert.Single(descriptors))}");
        var flags = Convert.ToInt32(info.Single(line => line.StartsWith("flags:", StringComparison.Ordinal))["flags:".Length..].Trim(), 8);
        Assert.Equal(Cloexec, flags & (Cloexec | Nonblock));
    }

    [Fact]
    public async Task A_new_file_s_mode_is_left_to_the_umask()
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating);
        await File.WriteAllTextAsync(_folder["b"], "");

        Assert.Equal(File.GetUnixFileMode(_folder["b"]), File.GetUnixFileMode(_folder["a.img"]));
    }

    [Fact]
    public async Task Whoever_has_the_lock_has_the_file_of_that_name_although_others_replace_it()
    {
        const int Rounds = 20;
        await File.WriteAllBytesAsync(_folder["counter"], [0, 0]);

        await Task.WhenAll(Enumerable.Range(0, 3).Select(worker => Task.Run(async () =>
        {
            for (var done = 0; done < Rounds;)
            {
                done += await ReplaceByNextAsync(_folder["counter"], _folder["next" + worker]) ? 1 : 0;
            }
        })));

        var count = await File.ReadAllBytesAsync(_folder["counter"]);
        Assert.Equal(3 * Rounds, count[0] + (count[1] << 8));

        static async Task<bool> ReplaceByNextAsync(string name, string temporary)
        {
            try
            {
                await using var old = FileStorage.Open(name, StorageOpenOptions.ForWriting);
                var count = await old.ReadBytesAsync(0, 2);
                await using var next = FileStorage.Open(temporary, StorageOpenOptions.ForCreating);
                await next.WriteBytesAsync(0, count[0] == 255 ? [0, (byte)(count[1] + 1)] : [(byte)(count[0] + 1), count[1]]);
                Assert.Equal(BlockStatus.Ok, await next.RenameAsync(name));
                return true;
            }
            catch (ImageInUseException)
            {
                await Task.Delay(1);
                return false;
            }
        }
    }

    [Fact]
    public async Task A_rename_does_not_replace_a_pipe_and_does_replace_a_link()
    {
        Tools.Run("mkfifo", _folder["pipe"]).EnsureSuccess();
        await File.WriteAllTextAsync(_folder["target"], "target");
        File.CreateSymbolicLink(_folder["link"], "target");
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating);

        Assert.Equal(BlockStatus.Unsupported, await storage.RenameAsync(_folder["pipe"]));
        Assert.Equal(_folder["a.img"], storage.Name);
        Assert.Equal(BlockStatus.Ok, await storage.RenameAsync(_folder["link"]));

        Assert.Null(new FileInfo(_folder["link"]).LinkTarget);
        Assert.Equal("target", await File.ReadAllTextAsync(_folder["target"]));
    }

    [Fact]
    public async Task A_name_with_two_dots_behind_a_link_is_the_kernel_s_to_resolve()
    {
        Directory.CreateDirectory(_folder["deep/er"]);
        Directory.CreateSymbolicLink(_folder["link"], "deep/er");
        await File.WriteAllTextAsync(_folder["a.img"], "another file, where the name seems to lead");
        await using var storage = FileStorage.Open(_folder["link/../a.img"], StorageOpenOptions.ForCreating);
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());

        Assert.Equal(BlockStatus.Ok, await storage.RenameAsync(_folder["link/../b.img"]));

        Assert.True(File.Exists(_folder["a.img"]));
        Assert.True(File.Exists(_folder["deep/b.img"]));
        Assert.False(File.Exists(_folder["deep/a.img"]));
    }

    [Fact]
    public void A_read_only_file_system_is_named_as_the_reason()
    {
        using var mount = TemporaryMount.Tmpfs(_folder["memory"], sizeMiB: 1);
        var path = Path.Combine(mount.Path, "a.img");
        File.WriteAllText(path, "");
        Tools.Run("mount", "-o", "remount,ro", mount.Path).EnsureSuccess();

        foreach (var (name, options) in new[] { (path, StorageOpenOptions.ForWriting), (path + "2", StorageOpenOptions.ForCreating) })
        {
            var error = Assert.Throws<StorageException>(() => FileStorage.Open(name, options));
            Assert.Contains("read-only file system", error.Message, StringComparison.Ordinal);
            Assert.Equal(BlockStatus.ReadOnly, error.Status);
        }
    }

    [Fact]
    public async Task On_a_file_system_in_memory_everything_is_at_hand()
    {
        using var mount = TemporaryMount.Tmpfs(_folder["memory"], sizeMiB: 4);
        await using var storage = FileStorage.Open(Path.Combine(mount.Path, "a.img"), StorageOpenOptions.ForCreating);
        await storage.WriteBytesAsync(0, [1, 2, 3]);
        using var buffer = new NativeBuffer(3);

        Assert.Equal(3, storage.TryRead(0, buffer.Buffers, 0, 3));

        Assert.Equal([1, 2, 3], buffer.Span.ToArray());
        Assert.True(storage.Traits.ExtensionReadsZeros);
    }

    [Fact]
    public async Task What_was_just_written_is_at_hand_where_the_kernel_can_tell()
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating);
        await storage.WriteBytesAsync(0, [1, 2, 3]);
        using var buffer = new NativeBuffer(3);

        var moved = storage.TryRead(0, buffer.Buffers, 0, 3);

        Assert.SkipWhen(moved == 0, "The temporary folder's file system does not tell (RWF_NOWAIT).");
        Assert.Equal([1, 2, 3], buffer.Span.ToArray());
    }

    [Fact]
    public async Task A_block_device_has_its_length_and_keeps_it()
    {
        File.WriteAllBytes(_folder["backing"], new byte[1 << 20]);
        using var loop = LoopDevice.Attach(_folder["backing"]);
        await using var storage = FileStorage.Open(loop.Path, StorageOpenOptions.ForWriting);

        Assert.True(storage.Traits.IsBlockDevice);
        Assert.False(storage.Traits.ExtensionReadsZeros);
        Assert.Equal(1 << 20, storage.Length);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync((1 << 20) - 3, [1, 2, 3], WriteFlags.Fua));
        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync((1 << 20) - 3, [9, 9, 9, 9]));
        Assert.Equal(BlockStatus.NoSpace, await storage.WriteBytesAsync(1 << 21, [9]));
        Assert.Equal([1, 2, 3], await storage.ReadBytesAsync((1 << 20) - 3, 3));
        Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(1 << 20));
        Assert.Equal(BlockStatus.Unsupported, await storage.SetLengthAsync(1 << 19));
        Assert.Equal(BlockStatus.Unsupported, await storage.RenameAsync(_folder["x"]));
        Assert.Equal(new StorageRun(IsHole: false, 1 << 20), storage.Map(0, 1 << 20));
        Assert.True(await storage.PunchHoleAsync(4096, 4096) is BlockStatus.Ok or BlockStatus.Unsupported);
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Null(storage.Traits.AllocatedBytes!());
        Assert.Throws<ImageInUseException>(() => FileStorage.Open(loop.Path, StorageOpenOptions.ForReading));
    }

    [Theory]
    [InlineData("ext4", "", true)]
    [InlineData("ext4", "data=writeback", false)]
    [InlineData("ext2", "", false)]
    public async Task Whether_extensions_read_as_zeros_after_a_power_cut_is_the_file_system_s(string kind, string options, bool expected)
    {
        using (var image = File.OpenHandle(_folder["fs"], FileMode.CreateNew, FileAccess.Write))
        {
            RandomAccess.SetLength(image, 16 << 20);
        }

        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Mounting needs root.");
        Tools.Run("mkfs." + kind, "-q", _folder["fs"]).EnsureSuccess();
        using var mount = TemporaryMount.Image(_folder["mounted"], _folder["fs"], options);
        await using var storage = FileStorage.Open(Path.Combine(mount.Path, "a.img"), StorageOpenOptions.ForCreating);

        Assert.Equal(expected, storage.Traits.ExtensionReadsZeros);
    }

    [Theory]
    [InlineData(0, BlockStatus.Ok)]
    [InlineData(28, BlockStatus.NoSpace)]
    [InlineData(122, BlockStatus.NoSpace)]
    [InlineData(27, BlockStatus.NoSpace)]
    [InlineData(30, BlockStatus.ReadOnly)]
    [InlineData(9, BlockStatus.ReadOnly)]
    [InlineData(1, BlockStatus.ReadOnly)]
    [InlineData(5, BlockStatus.IoError)]
    [InlineData(116, BlockStatus.IoError)]
    public void Errno_becomes_a_status(int errno, BlockStatus expected) => Assert.Equal(expected, LinuxErrors.ToStatus(errno));

    /// <summary>A file as a block device; skips the calling test where there are none.</summary>
    private sealed class LoopDevice : IDisposable
    {
        private LoopDevice(string path) => Path = path;

        public string Path { get; }

        public static LoopDevice Attach(string file)
        {
            Assert.SkipUnless(Environment.IsPrivilegedProcess, "Loop devices need root.");
            var result = Tools.Run("losetup", "--find", "--show", file);
            Assert.SkipUnless(result.ExitCode == 0, string.Create(CultureInfo.InvariantCulture, $"No loop device is to be had: {result.Error.Trim()}"));
            return new LoopDevice(result.Output.Trim());
        }

        public void Dispose() => Tools.Run("losetup", "--detach", Path).EnsureSuccess();
    }
}
