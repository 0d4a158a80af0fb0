using System.Net.Sockets;
using System.Runtime.Versioning;
using VhdCore.Errors;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Tests.Storage;

/// <summary>Names come from images and command lines: each that is no image gets a StorageException that says why.</summary>
public sealed class HostileNameTests : IDisposable
{
    private static readonly StorageOpenOptions[] AllOptions =
    [
        StorageOpenOptions.ForReading, StorageOpenOptions.ForWriting, StorageOpenOptions.ForCreating, new() { Sharing = StorageSharing.Force },
    ];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Names => new(
        "", "\0", "a\0b", "none/a.img", "file/below", "file/", ".", "..", "/", "//", "folder", "folder/",
        "\ud800", "\udfff\ud800/x", "\u0001\u001b[31m", "a\nb/c", "%s%n%x", "~/x", "con/none", "file:///etc/none", "http://none/x", "C:\\none\\x.vhd", "\\\\none\\x",
        "circle", "dangling/x", new string('n', 256), new string('n', 5000), string.Concat(Enumerable.Repeat("n/", 4000)));

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_name_that_is_no_image_is_refused_by_a_storage_exception(string name)
    {
        Furnish();
        var path = name.Length == 0 || name[0] is '\0' or '/' ? name : _folder.Path + "/" + name;
        var resolver = new FileStorageResolver();
        foreach (var options in AllOptions)
        {
            foreach (var usePortablePath in new[] { false, true })
            {
                if (options.CreateNew && CanBeCreated(name))
                {
                    continue;
                }

                var error = Assert.Throws<StorageException>(() => FileStorage.Open(path, options, usePortablePath));
                Assert.Equal(path, error.Path);
            }
        }

        Assert.NotNull(resolver.Canonicalize(path));
        Assert.NotNull(resolver.Combine(path, path));
        Assert.NotNull(resolver.Combine(_folder["a.vhd"], name));
        Assert.False(resolver.Exists(path));
        await Assert.ThrowsAsync<StorageException>(async () => await resolver.OpenAsync(path, StorageOpenOptions.ForReading));
    }

    [Theory]
    [InlineData("folder", "is a folder")]
    [InlineData("none", "does not exist")]
    [InlineData("none/a.img", "does not exist")]
    [InlineData("circle", "circle")]
    [InlineData("", "is a folder")]
    public void The_message_says_why(string name, string reason)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The words are those of the Linux path.");
        Furnish();

        var error = Assert.Throws<StorageException>(() => FileStorage.Open(_folder[name], StorageOpenOptions.ForReading));

        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_too_long_and_a_missing_folder_are_told_apart()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The words are those of the Linux path.");

        var tooLong = Assert.Throws<StorageException>(() => FileStorage.Open(_folder[new string('n', 256)], StorageOpenOptions.ForCreating));
        var noFolder = Assert.Throws<StorageException>(() => FileStorage.Open(_folder["none/a.img"], StorageOpenOptions.ForCreating));

        Assert.Contains("too long", tooLong.Message, StringComparison.Ordinal);
        Assert.Contains("its folder does not exist", noFolder.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [UnsupportedOSPlatform("windows")]
    public async Task A_file_that_may_not_be_opened_is_told_apart_from_a_missing_one(bool usePortablePath)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Modes are Unix's.");
        Assert.SkipWhen(Environment.IsPrivilegedProcess, "Root may open everything.");
        await File.WriteAllTextAsync(_folder["closed"], "");
        File.SetUnixFileMode(_folder["closed"], UnixFileMode.UserRead);

        await FileStorage.Open(_folder["closed"], StorageOpenOptions.ForReading, usePortablePath).DisposeAsync();
        var writing = Assert.Throws<StorageException>(() => FileStorage.Open(_folder["closed"], StorageOpenOptions.ForWriting, usePortablePath));
        File.SetUnixFileMode(_folder["closed"], UnixFileMode.None);
        var reading = Assert.Throws<StorageException>(() => FileStorage.Open(_folder["closed"], StorageOpenOptions.ForReading, usePortablePath));

        Assert.Contains("may not be written: permission denied", writing.Message, StringComparison.Ordinal);
        Assert.Contains("may not be read: permission denied", reading.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pipe_a_socket_and_a_terminal_are_refused_without_waiting()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only the Linux path can tell before opening.");
        Tools.Run("mkfifo", _folder["pipe"]).EnsureSuccess();
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(_folder["socket"]));

        foreach (var name in new[] { _folder["pipe"], _folder["socket"], "/dev/null", "/dev/zero" })
        {
            foreach (var options in AllOptions.Where(options => !options.CreateNew))
            {
                var error = Assert.Throws<StorageException>(() => FileStorage.Open(name, options));
                Assert.Contains("neither a file nor a block device", error.Message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Renaming_to_what_cannot_be_fails_and_keeps_the_name(bool usePortablePath)
    {
        Furnish();
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating, usePortablePath);
        await storage.WriteBytesAsync(0, [1]);

        foreach (var name in new[] { "", "a\0b", _folder["none/b.img"], _folder["folder"], _folder[new string('n', 256)] })
        {
            Assert.NotEqual(BlockStatus.Ok, await storage.RenameAsync(name));
            Assert.Equal(_folder["a.img"], storage.Name);
        }

        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, [2]));
        Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
        Assert.Equal([2], await File.ReadAllBytesAsync(CopyOf(_folder["a.img"])));
    }

    private static bool CanBeCreated(string name) => !name.Contains('\0') && name.Length is > 0 and < 256 && !name.Contains('/') && name is not ("." or ".." or "folder" or "circle");

    // A copy by another program: .NET's own readers respect the lock of its writers.
    private string CopyOf(string path)
    {
        Tools.Run("cp", path, _folder["copy"]).EnsureSuccess();
        return _folder["copy"];
    }

    private void Furnish()
    {
        File.WriteAllText(_folder["file"], "");
        Directory.CreateDirectory(_folder["folder"]);
        if (!OperatingSystem.IsWindows())
        {
            File.CreateSymbolicLink(_folder["circle"], _folder["circle2"]);
            File.CreateSymbolicLink(_folder["circle2"], _folder["circle"]);
            File.CreateSymbolicLink(_folder["dangling"], _folder["nowhere"]);
        }
    }
}
