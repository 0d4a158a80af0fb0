using VhdCore.Errors;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Interop.Locks;

/// <summary>QEMU refuses what is held here, and what QEMU holds is refused here.</summary>
public sealed class QemuLockTests : IDisposable
{
    private const string QemuRefusal = "lock";

    private static readonly StorageOpenOptions Forced = new() { Sharing = StorageSharing.Force };

    private readonly TempFolder _folder = new();
    private readonly string _path;

    public QemuLockTests()
    {
        _path = _folder["disk.vhd"];
        Assert.SkipUnless(OperatingSystem.IsLinux(), "QEMU's byte locks are taken on Linux only.");
        Tools.Run("qemu-img", "create", "-q", "-f", "vpc", _path, "16M").EnsureSuccess();
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("vpc")]
    [InlineData("raw")]
    public async Task What_qemu_writes_is_refused_to_our_writer_by_name_and_kind(string format)
    {
        using var held = await QemuIo.HoldAsync(_path, format, readOnly: false);

        var error = Assert.Throws<ImageInUseException>(() => FileStorage.Open(_path, StorageOpenOptions.ForWriting));

        Assert.Equal(_path, error.Path);
        Assert.Contains("disk.vhd", error.Message, StringComparison.Ordinal);
        Assert.Contains("a writer", error.Message, StringComparison.Ordinal);
        Assert.Equal(ImageErrorKind.InUse, error.Kind);
    }

    [Theory]
    [InlineData("vpc")]
    [InlineData("raw")] // qemu-io shares everything on a raw image, but still says that it writes
    public async Task What_qemu_writes_is_refused_to_our_reader_unless_forced(string format)
    {
        using var held = await QemuIo.HoldAsync(_path, format, readOnly: false);

        var error = Assert.Throws<ImageInUseException>(() => FileStorage.Open(_path, StorageOpenOptions.ForReading));
        Assert.Contains("a writer", error.Message, StringComparison.Ordinal);

        await using var forced = FileStorage.Open(_path, Forced);
        Assert.True(forced.Length > 0);
    }

    [Fact]
    public async Task What_qemu_reads_is_refused_to_our_writer_and_shared_with_our_reader()
    {
        using var held = await QemuIo.HoldAsync(_path, "vpc", readOnly: true);

        var error = Assert.Throws<ImageInUseException>(() => FileStorage.Open(_path, StorageOpenOptions.ForWriting));
        Assert.Contains("a reader that excludes writers", error.Message, StringComparison.Ordinal);

        await using var reader = FileStorage.Open(_path, StorageOpenOptions.ForReading);
        Assert.True(reader.Length > 0);
    }

    [Fact]
    public async Task The_image_is_free_again_once_qemu_has_closed_it()
    {
        (await QemuIo.HoldAsync(_path, "vpc", readOnly: false)).Dispose();

        await using var storage = FileStorage.Open(_path, StorageOpenOptions.ForWriting);

        Assert.True(storage.Traits.CanWrite);
    }

    [Theory]
    [InlineData("vpc")]
    [InlineData("raw")]
    public async Task What_we_write_is_refused_to_qemu_s_writer(string format)
    {
        await using var storage = FileStorage.Open(_path, StorageOpenOptions.ForWriting);

        var result = Tools.Run("qemu-io", "-f", format, "-c", "write 0 512", _path);

        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(QemuRefusal, result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_we_write_is_refused_to_qemu_s_readers_unless_forced()
    {
        await using var storage = FileStorage.Open(_path, StorageOpenOptions.ForWriting);

        var refused = Tools.Run("qemu-img", "info", _path);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains(QemuRefusal, refused.Error, StringComparison.Ordinal);

        Tools.Run("qemu-img", "info", "-U", _path).EnsureSuccess();
    }

    [Fact]
    public async Task What_we_read_is_refused_to_qemu_s_writer_and_shared_with_its_reader()
    {
        await using var storage = FileStorage.Open(_path, StorageOpenOptions.ForReading);

        var refused = Tools.Run("qemu-io", "-f", "vpc", "-c", "write 0 512", _path);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains(QemuRefusal, refused.Error, StringComparison.Ordinal);

        Tools.Run("qemu-io", "-r", "-f", "vpc", "-c", "read 0 512", _path).EnsureSuccess();
        Tools.Run("qemu-img", "info", _path).EnsureSuccess();
    }

    [Fact]
    public async Task Nothing_is_held_by_a_forced_reader_or_after_closing()
    {
        await using var forced = FileStorage.Open(_path, Forced);
        await FileStorage.Open(_path, StorageOpenOptions.ForWriting).DisposeAsync();

        Tools.Run("qemu-io", "-f", "vpc", "-c", "write 0 512", _path).EnsureSuccess();
    }
}
