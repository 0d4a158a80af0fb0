using System.Net.Sockets;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Disks;

public sealed class ImageCreationTests
{
    private static readonly Guid Id = new("01234567-89ab-cdef-0123-456789abcdef");
    private static readonly DateTimeOffset Time = new(2025, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(ImageFormat.Vhd, ImageKind.Fixed)]
    [InlineData(ImageFormat.Vhd, ImageKind.Dynamic)]
    [InlineData(ImageFormat.Raw, ImageKind.Dynamic)]
    public async Task A_new_image_is_zeros_takes_writes_and_stands_alone_in_its_folder(ImageFormat format, ImageKind kind)
    {
        var resolver = new MemoryStorageResolver();
        var disk = await CreateAsync(resolver, "/vm/new.img", new() { Format = format, Kind = kind, Size = Size - 100 });
        await using (disk)
        {
            Assert.Equal(["/vm/new.img"], resolver.Names);
            Assert.Equal((Size, false, "/vm/new.img"), (disk.Length, disk.IsReadOnly, disk.Images[0].Path));
            Assert.Equal(new byte[Size], await ReadAllAsync(disk));
            await disk.WriteAsync(5000, new byte[] { 1, 2, 3 }, cancellationToken: Token);
        }

        var content = await ReadAllAsync(resolver, "/vm/new.img");
        Assert.Equal([0, 1, 2, 3, 0], content.AsSpan(4999, 5).ToArray());
    }

    [Fact]
    public async Task The_same_options_make_the_same_bytes()
    {
        var options = new ImageCreateOptions { Format = ImageFormat.Vhd, Size = Size, UniqueId = Id, Timestamp = Time, BlockSize = BlockSize };
        var resolver = new MemoryStorageResolver();
        foreach (var name in (string[])["/a.vhd", "/b.vhd"])
        {
            await (await CreateAsync(resolver, name, options)).DisposeAsync();
        }

        Assert.Equal(resolver.GetBytes("/a.vhd"), resolver.GetBytes("/b.vhd"));
        var disk = await OpenAsync(resolver, "/a.vhd");
        await using (disk)
        {
            Assert.Equal((Id, Time, BlockSize), (disk.Images[0].UniqueId, disk.Images[0].Vhd!.Timestamp, disk.Images[0].BlockSize));
        }
    }

    [Theory]
    [InlineData("/vm/leaf.vhd", @".\base.vhd")]
    [InlineData("/vm/snapshots/leaf.vhd", @"..\base.vhd")]
    [InlineData("/leaf.vhd", @".\vm\base.vhd")]
    public async Task A_child_shows_its_parents_content_and_names_it_in_both_ways(string path, string relative)
    {
        var parent = Image("base.vhd", 1).PutText(7, 70);
        var resolver = Memory(parent);
        var disk = await CreateAsync(resolver, path, Child("/vm/base.vhd"));
        await using (disk)
        {
            Assert.Equal(parent.Content(), await ReadAllAsync(disk));
            var leaf = disk.Images[0];
            Assert.Equal((ImageKind.Differencing, "/vm/base.vhd"), (leaf.Kind, leaf.ParentPath));
            Assert.Equal(disk.Images[1].UniqueId, leaf.Vhd!.ParentUniqueId);
            Assert.Equal(disk.Images[1].Vhd!.Timestamp, leaf.Vhd.ParentTimestamp);
            Assert.Equal(["W2ku:/vm/base.vhd", $"W2ru:{relative}"], leaf.Vhd.ParentLocators.Select(locator => $"{locator.PlatformCode}:{locator.Name}"));
            Assert.Empty(leaf.Warnings);
        }

        // Moved together, the relative name still leads to the parent.
        var moved = new MemoryStorageResolver();
        moved.Add("/elsewhere" + path, resolver.GetBytes(path));
        moved.Add("/elsewhere/vm/base.vhd", parent.Build());
        Assert.Equal(parent.Content(), await ReadAllAsync(moved, "/elsewhere" + path));
    }

    [Fact]
    public async Task A_child_of_a_raw_file_reads_it_below_its_own_writes()
    {
        var raw = new byte[Size - 3000];
        new Random(3).NextBytes(raw);
        var resolver = new MemoryStorageResolver();
        resolver.Add("/base.raw", raw);
        var disk = await CreateAsync(resolver, "/leaf.vhd", Child("/base.raw"));
        await using (disk)
        {
            Assert.Equal(Guid.Empty, disk.Images[0].Vhd!.ParentUniqueId);
            await disk.WriteAsync(1001, new byte[2000], cancellationToken: Token);
        }

        var expected = new byte[(raw.Length + 511) / 512 * 512];
        raw.CopyTo(expected, 0);
        expected.AsSpan(1001, 2000).Clear();
        Assert.Equal(expected, await ReadAllAsync(resolver, "/leaf.vhd"));
        Assert.Equal(raw, resolver.GetBytes("/base.raw"));
    }

    [Fact]
    public async Task A_file_that_has_the_name_is_replaced_unless_somebody_has_it_open()
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/disk.vhd", new byte[5]);
        await using (await resolver.OpenAsync("/disk.vhd", StorageOpenOptions.ForReading, Token))
        {
            await Assert.ThrowsAsync<ImageInUseException>(async () => await CreateAsync(resolver, "/disk.vhd", Fixed()));
        }

        Assert.Equal(new byte[5], resolver.GetBytes("/disk.vhd"));
        Assert.Equal(["/disk.vhd"], resolver.Names);
        await (await CreateAsync(resolver, "/disk.vhd", Fixed())).DisposeAsync();
        Assert.Equal(new byte[Size], await ReadAllAsync(resolver, "/disk.vhd"));
        Assert.Equal(["/disk.vhd"], resolver.Names);
    }

    [Fact]
    public async Task A_deferred_image_has_its_name_only_once_it_is_published()
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/disk.vhd", new byte[5]);
        var disk = await CreateAsync(resolver, "/disk.vhd", Fixed() with { DeferPublishing = true });
        await using (disk)
        {
            Assert.Equal(new byte[5], resolver.GetBytes("/disk.vhd"));
            await disk.WriteAsync(0, new byte[] { 7 }, cancellationToken: Token);
            await disk.PublishAsync(Token);
            Assert.Equal(["/disk.vhd"], resolver.Names);
            await disk.PublishAsync(Token);
            await disk.WriteAsync(1, new byte[] { 8 }, cancellationToken: Token);
        }

        Assert.Equal([7, 8, 0], (await ReadAllAsync(resolver, "/disk.vhd")).AsSpan(0, 3).ToArray());
    }

    [Fact]
    public async Task A_deferred_image_that_is_never_published_leaves_nothing()
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/disk.vhd", new byte[5]);
        var disk = await CreateAsync(resolver, "/disk.vhd", Fixed() with { DeferPublishing = true });
        await disk.WriteAsync(0, new byte[] { 7 }, cancellationToken: Token);
        await disk.DisposeAsync();
        await disk.DisposeAsync();
        Assert.Equal(["/disk.vhd"], resolver.Names);
        Assert.Equal(new byte[5], resolver.GetBytes("/disk.vhd"));
        await using var unlocked = await resolver.OpenAsync("/disk.vhd", StorageOpenOptions.ForWriting, Token);
    }

    [Fact]
    public async Task An_image_cannot_take_the_place_of_one_it_is_made_from()
    {
        var root = Image("base.vhd", 1);
        var middle = Image("middle.vhd", 2, root);
        var resolver = Memory(root, middle);
        await Assert.ThrowsAsync<ArgumentException>(async () => await CreateAsync(resolver, "/vm/middle.vhd", Child("/vm/middle.vhd")));
        await Assert.ThrowsAsync<ArgumentException>(async () => await CreateAsync(resolver, "/vm/sub/../base.vhd", Child("/vm/middle.vhd")));
        Assert.Equal(["/vm/base.vhd", "/vm/middle.vhd"], resolver.Names);
        Assert.Equal(root.Build(), resolver.GetBytes("/vm/base.vhd"));
        await using var unlocked = await resolver.OpenAsync("/vm/base.vhd", StorageOpenOptions.ForWriting, Token);
    }

    [Fact]
    public async Task What_cannot_be_created_leaves_nothing_behind()
    {
        var resolver = new MemoryStorageResolver();
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await CreateAsync(resolver, "/x.vhd", new() { Format = ImageFormat.Vhd, Size = 0 }));
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await CreateAsync(resolver, "/x.vhd", new() { Format = ImageFormat.Vhd, Size = 1L << 50 }));
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await CreateAsync(resolver, "/x.vhd", new() { Format = ImageFormat.Vhd, Size = Size, BlockSize = 1000 }));
        await Assert.ThrowsAsync<StorageException>(async () => await CreateAsync(resolver, "/x.vhd", Child("/missing.vhd")));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await VirtualDisk.CreateAsync("/x.vhd", Fixed(), resolver, new CancellationToken(canceled: true)));
        Assert.Empty(resolver.Names);
    }

    [Fact]
    public async Task Options_that_contradict_each_other_are_the_callers_mistake()
    {
        var resolver = new MemoryStorageResolver();
        ImageCreateOptions[] wrong =
        [
            new() { Format = ImageFormat.Vhd },
            new() { Format = ImageFormat.Vhd, Size = -1 },
            new() { Format = ImageFormat.Vhd, Size = 512, Parent = "/base.vhd" },
            new() { Format = ImageFormat.Vhd, Size = 512, Kind = ImageKind.Differencing },
            new() { Format = ImageFormat.Vhd, Size = 512, UniqueId = Guid.Empty },
            new() { Format = ImageFormat.Raw, Size = 512, BlockSize = 4096 },
            new() { Format = ImageFormat.Raw, Size = 512, ChsCompatible = true },
            new() { Format = ImageFormat.Raw, Kind = ImageKind.Differencing, Parent = "/base.vhd" },
        ];
        foreach (var options in wrong)
        {
            await Assert.ThrowsAnyAsync<ArgumentException>(async () => await CreateAsync(resolver, "/x", options));
        }

        Assert.Empty(resolver.Names);
    }

    [Fact]
    public async Task A_block_device_is_not_replaced()
    {
        var resolver = new MemoryStorageResolver { Traits = new StorageTraits { CanWrite = true, IsBlockDevice = true } };
        resolver.Add("/dev/sdx", new byte[Size]);
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await CreateAsync(resolver, "/dev/sdx", Fixed()));
        Assert.Equal(["/dev/sdx"], resolver.Names);
    }

    [Fact]
    public async Task A_pipe_socket_or_device_is_not_replaced()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "What has a name besides files is told apart by Linux here.");
        using var folder = new TempFolder();
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(folder["taken"]));
        var exception = await Assert.ThrowsAsync<StorageException>(async () => await CreateAsync(new FileStorageResolver(), folder["taken"], Fixed()));
        Assert.Equal(BlockStatus.Unsupported, exception.Status);
        Assert.Equal([folder["taken"]], Directory.GetFileSystemEntries(folder.Path));
        Assert.False(new FileStorageResolver().Exists(folder["taken"]), "It is no file, as before.");
    }

    [Fact]
    public async Task On_files_a_link_keeps_leading_to_what_is_replaced_and_a_child_finds_its_parent()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Making a symbolic link needs a privilege on Windows.");
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["pool"]);
        File.WriteAllBytes(folder["pool/disk.vhd"], new byte[5]);
        File.CreateSymbolicLink(folder["link.vhd"], folder["pool/disk.vhd"]);
        var resolver = new FileStorageResolver();
        var disk = await CreateAsync(resolver, folder["link.vhd"], Fixed());
        await using (disk)
        {
            await disk.WriteAsync(0, new byte[] { 42 }, cancellationToken: Token);
        }

        Assert.NotNull(new FileInfo(folder["link.vhd"]).LinkTarget);
        Assert.Equal(Size + 512, new FileInfo(folder["pool/disk.vhd"]).Length);
        await (await CreateAsync(resolver, folder["leaf.vhd"], Child(folder["link.vhd"]))).DisposeAsync();
        Assert.Equal(42, (await ReadAllAsync(resolver, folder["leaf.vhd"]))[0]);
        Assert.Equal(["disk.vhd"], Directory.GetFiles(folder["pool"]).Select(Path.GetFileName));
        Assert.Equal(["leaf.vhd", "link.vhd"], Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    private static ValueTask<VirtualDisk> CreateAsync(IStorageResolver resolver, string path, ImageCreateOptions options) =>
        VirtualDisk.CreateAsync(path, options, resolver, Token);

    private static ImageCreateOptions Fixed() => new() { Format = ImageFormat.Vhd, Kind = ImageKind.Fixed, Size = Size };

    private static ImageCreateOptions Child(string parent) => new() { Format = ImageFormat.Vhd, Kind = ImageKind.Differencing, Parent = parent };
}
