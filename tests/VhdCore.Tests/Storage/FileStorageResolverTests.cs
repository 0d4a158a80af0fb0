using VhdCore.Errors;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Tests.Storage;

public sealed class FileStorageResolverTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly FileStorageResolver _resolver = new();
    private readonly string _real;

    public FileStorageResolverTests()
    {
        // The temporary folder itself may lie behind links.
        _real = _resolver.Canonicalize(_folder.Path);
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("/images/leaf.vhd", "base.vhd", "/images/base.vhd")]
    [InlineData("/images/leaf.vhd", "./base.vhd", "/images/base.vhd")]
    [InlineData("/images/leaf.vhd", "././base.vhd", "/images/base.vhd")]
    [InlineData("/images/leaf.vhd", "../base.vhd", "/images/../base.vhd")]
    [InlineData("/images/leaf.vhd", "/other/base.vhd", "/other/base.vhd")]
    [InlineData("leaf.vhd", "base.vhd", "base.vhd")]
    [InlineData("sub/leaf.vhd", "base.vhd", "sub/base.vhd")]
    [InlineData("/leaf.vhd", "base.vhd", "/base.vhd")]
    public void A_relative_name_means_the_base_s_folder(string baseName, string relative, string expected)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Written with Unix's separators.");

        Assert.Equal(expected, _resolver.Combine(baseName, relative));
    }

    [Fact]
    public void Canonicalize_follows_links_to_files_and_folders_and_leaves_what_is_missing()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Links need a privilege on Windows.");
        Directory.CreateDirectory(_folder["deep/er"]);
        File.WriteAllText(_folder["deep/er/disk.vhd"], "");
        Directory.CreateSymbolicLink(_folder["short"], "deep/er");
        File.CreateSymbolicLink(_folder["one.vhd"], _folder["two.vhd"]);
        File.CreateSymbolicLink(_folder["two.vhd"], "short/disk.vhd");

        var disk = _real + "/deep/er/disk.vhd";
        Assert.Equal(disk, _resolver.Canonicalize(_folder["deep/er/disk.vhd"]));
        Assert.Equal(disk, _resolver.Canonicalize(_folder["short/disk.vhd"]));
        Assert.Equal(disk, _resolver.Canonicalize(_folder["one.vhd"]));
        Assert.Equal(disk, _resolver.Canonicalize(_folder["deep//./er/../er/disk.vhd"]));

        // ".." is taken behind the link, as the kernel takes it.
        Assert.Equal(_real + "/deep/none.vhd", _resolver.Canonicalize(_folder["short/../none.vhd"]));
        Assert.Equal(_real + "/no/such/x", _resolver.Canonicalize(_folder["no/such/x"]));
        Assert.Equal("/", _resolver.Canonicalize("/../.."));
    }

    [Fact]
    public void Canonicalize_makes_names_absolute()
    {
        Assert.True(Path.IsPathFullyQualified(_resolver.Canonicalize("some/name")));
        Assert.Equal(_resolver.Canonicalize("name"), _resolver.Canonicalize("./x/../name"));
    }

    [Fact]
    public void Canonicalize_ends_on_circles()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Links need a privilege on Windows.");
        File.CreateSymbolicLink(_folder["a"], "b/x");
        File.CreateSymbolicLink(_folder["b"], "a");

        Assert.Equal(_folder["a"], _resolver.Canonicalize(_folder["a"]));
    }

    [Fact]
    public void Exists_sees_files_and_not_folders_or_links_to_nowhere()
    {
        File.WriteAllText(_folder["file"], "");
        if (OperatingSystem.IsLinux())
        {
            File.CreateSymbolicLink(_folder["dangling"], "nowhere");
            File.CreateSymbolicLink(_folder["link"], "file");
            Assert.False(_resolver.Exists(_folder["dangling"]));
            Assert.True(_resolver.Exists(_folder["link"]));
            Assert.False(_resolver.Exists("/dev/null"));
        }

        Assert.True(_resolver.Exists(_folder["file"]));
        Assert.False(_resolver.Exists(_folder.Path));
        Assert.False(_resolver.Exists(_folder["none"]));
    }

    [Fact]
    public void Delete_removes_files_ignores_what_is_not_there_and_refuses_folders()
    {
        File.WriteAllText(_folder["file"], "");

        _resolver.Delete(_folder["file"]);
        _resolver.Delete(_folder["file"]);
        _resolver.Delete(_folder["none/file"]);

        Assert.False(File.Exists(_folder["file"]));
        Assert.Throws<StorageException>(() => _resolver.Delete(_folder.Path));
    }

    [Fact]
    public async Task Opening_reports_failure_through_the_task()
    {
        var task = _resolver.OpenAsync(_folder["none"], StorageOpenOptions.ForReading).AsTask();

        await Assert.ThrowsAsync<StorageException>(() => task);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await _resolver.OpenAsync(_folder["none"], StorageOpenOptions.ForReading, new CancellationToken(true)));
    }

    [Fact]
    public void Writing_without_locks_is_a_mistake_of_the_caller() => Assert.Throws<ArgumentException>(
        () => FileStorage.Open(_folder["x"], StorageOpenOptions.ForCreating with { Sharing = StorageSharing.Force }));
}
