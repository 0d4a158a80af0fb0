using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

/// <summary>Where a VHDX's parent is looked for, and what is said when it is not there.</summary>
public sealed class VhdxParentTests
{
    private const string RootId = "10000001-0002-0003-0405-060708090a0b";
    private const string LeafId = "1000000b-0002-0003-0405-060708090a0b";
    private const string StrangeId = "deadbeef-0002-0003-0405-060708090a0b";

    private static readonly byte[] Root = Image(RootId, []);

    [Theory]
    [InlineData("absolute_win32_path", @"\\?\UNC\server\share\vm\base\root.vhdx", "/mnt/share/vm/base/root.vhdx")]
    [InlineData("absolute_win32_path", @"\\server\share\vm\base\root.vhdx", "/mnt/share/vm/base/root.vhdx")]
    [InlineData("absolute_win32_path", @"\\?\server\share\vm\base\root.vhdx", "/mnt/share/vm/base/root.vhdx")]
    [InlineData("absolute_win32_path", @"\\?\D:\vm\base\root.vhdx", "/mnt/share/vm/base/root.vhdx")]
    [InlineData("absolute_win32_path", @"D:\vm\base\root.vhdx", "/mnt/share/vm/base/root.vhdx")]
    [InlineData("volume_path", @"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\vm\base\root.vhdx", "/mnt/share/vm/base/root.vhdx")]
    [InlineData("absolute_win32_path", @"\\?\UNC\server\share\vm\base\root.vhdx", "/server/share/vm/base/root.vhdx")]
    [InlineData("absolute_win32_path", @"\mnt\share\other\root.vhdx", "/mnt/share/other/root.vhdx")]
    [InlineData("relative_path", @"..\base\root.vhdx", "/mnt/share/vm/base/root.vhdx")]
    [InlineData("relative_path", @".\root.vhdx", "/mnt/share/vm/child/root.vhdx")]
    public async Task A_parent_is_found_where_the_tree_of_a_drive_or_share_lies_now(string key, string path, string place)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows understands drives and shares itself");
        var leaf = Image(LeafId, [("parent_linkage", RootId), (key, path)]);
        await ExpectOpenAsync(Memory(("/mnt/share/vm/child/leaf.avhdx", leaf), (place, Root)), "/mnt/share/vm/child/leaf.avhdx");
    }

    [Fact]
    public async Task A_folder_for_parents_is_looked_into_and_never_left()
    {
        var leaf = Image(LeafId, [("parent_linkage", RootId), ("relative_path", @"..\..\gone\root.vhdx"), ("absolute_win32_path", @"\\?\c:\vm\base\root.vhdx")]);
        var options = new ImageOpenOptions { Parents = ParentPolicy.BelowRoot, ParentRoot = "/images" };
        foreach (var place in new[] { "/images/root.vhdx", "/images/vm/base/root.vhdx" })
        {
            await ExpectOpenAsync(Memory(("/vm/leaf.avhdx", leaf), (place, Root)), "/vm/leaf.avhdx", options);
        }

        foreach (var place in new[] { "/vm/base/root.vhdx", "/gone/root.vhdx", "/imagesroot.vhdx", "/images/deep/root.vhdx" })
        {
            var resolver = Memory(("/vm/leaf.avhdx", leaf), (place, Root));
            await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(resolver, "/vm/leaf.avhdx", options));
        }
    }

    [Fact]
    public async Task A_mismatch_names_both_identifiers_and_what_to_do()
    {
        var leaf = Image(LeafId, [("parent_linkage", $"{{{StrangeId.ToUpperInvariant()}}}"), ("parent_linkage2", LeafId), ("relative_path", "root.vhdx"), ("absolute_win32_path", @"\\?\c:\a\b.vhdx")]);
        var resolver = Memory(("/pool/vm/leaf.vhdx", leaf), ("/pool/vm/root.vhdx", Root));
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(resolver, "/pool/vm/leaf.vhdx"));
        foreach (var words in new[] { StrangeId, LeafId, RootId, "'/pool/vm/root.vhdx' exists, but its identifier is", "'/a/b.vhdx' does not exist", "more places", "only a copy from before", "--ignore-parent-id" })
        {
            Assert.Contains(words, exception.Message, StringComparison.Ordinal);
        }

        var missing = await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(Memory(("/pool/vm/leaf.vhdx", leaf)), "/pool/vm/leaf.vhdx"));
        Assert.Contains("the parent was not found", missing.Message, StringComparison.Ordinal);
        Assert.Contains(StrangeId, missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_parent_that_was_written_to_no_longer_fits_and_a_copy_from_before_does()
    {
        var stop = TestContext.Current.CancellationToken;
        var leaf = Image(LeafId, [("parent_linkage", RootId), ("relative_path", "root.vhdx")]);
        var resolver = Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.vhdx", Root));
        await using (var root = await VirtualDisk.OpenAsync("/vm/root.vhdx", new() { Writable = true }, resolver, stop))
        {
        }

        await ExpectOpenAsync(resolver, "/vm/leaf.vhdx"); // nothing was written
        await using (var root = await VirtualDisk.OpenAsync("/vm/root.vhdx", new() { Writable = true }, resolver, stop))
        {
            await root.WriteAsync(7, new byte[] { 1 }, cancellationToken: stop);
        }

        await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(resolver, "/vm/leaf.vhdx"));
        resolver.Add("/vm/copy/root.vhdx", Root);
        resolver.Add("/vm/copy/leaf.vhdx", leaf);
        await ExpectOpenAsync(resolver, "/vm/copy/leaf.vhdx");
    }

    [Fact]
    public async Task While_a_merge_is_under_way_the_child_may_be_written_on_either_parent()
    {
        var stop = TestContext.Current.CancellationToken;
        foreach (var (first, second) in new[] { (StrangeId, RootId), (RootId, StrangeId) })
        {
            var leaf = Image(LeafId, [("parent_linkage", $"{{{first}}}"), ("parent_linkage2", $"{{{second}}}"), ("relative_path", "root.vhdx")]);
            var resolver = Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.vhdx", Root));
            await using (var disk = await VirtualDisk.OpenAsync("/vm/leaf.vhdx", new() { Writable = true }, resolver, stop))
            {
                await disk.WriteAsync(3 * MiB, new byte[] { 1, 2, 3 }, cancellationToken: stop);
            }

            await using var again = await VirtualDisk.OpenAsync("/vm/leaf.vhdx", resolver: resolver, cancellationToken: stop);
            Assert.Equal(["parent_linkage", "parent_linkage2", "relative_path"], again.Images[0].Vhdx!.ParentLocator.Select(pair => pair.Key));
        }
    }

    [Theory]
    [InlineData("root.vhd", ImageFormat.Vhd, "child.vhdx", ImageFormat.Vhdx, "no VHDX")]
    [InlineData("root.raw", ImageFormat.Raw, "child.vhdx", ImageFormat.Vhdx, "no VHDX")]
    [InlineData("root.vhdx", ImageFormat.Vhdx, "child.vhd", ImageFormat.Vhd, "is a VHDX")]
    public async Task Children_and_parents_are_of_one_format(string root, ImageFormat rootFormat, string child, ImageFormat childFormat, string words)
    {
        var stop = TestContext.Current.CancellationToken;
        var resolver = new MemoryStorageResolver();
        await using (await VirtualDisk.CreateAsync("/" + root, new() { Format = rootFormat, Kind = rootFormat == ImageFormat.Raw ? ImageKind.Fixed : ImageKind.Dynamic, Size = 4 * MiB }, resolver, stop))
        {
        }

        var exception = await Assert.ThrowsAsync<UnsupportedImageException>(async () => await VirtualDisk.CreateAsync(
            "/" + child, new() { Format = childFormat, Kind = ImageKind.Differencing, Parent = "/" + root, ParentFormat = rootFormat }, resolver, stop));
        Assert.Contains(words, exception.Message, StringComparison.Ordinal);
        Assert.Contains("onvert", exception.Message, StringComparison.Ordinal);
        Assert.Equal(["/" + root], resolver.Names);
    }

    [Fact]
    public async Task A_child_that_is_created_names_its_parent_by_every_key_that_has_a_meaning_here()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has drives.");
        var resolver = Memory(("/base/root.vhdx", Root));
        await using var child = await VirtualDisk.CreateAsync(
            "/vm/new.avhdx", new() { Format = ImageFormat.Vhdx, Kind = ImageKind.Differencing, Parent = "/base/root.vhdx" }, resolver, TestContext.Current.CancellationToken);
        Assert.Equal(
            [("parent_linkage", $"{{{RootId}}}"), ("relative_path", @"..\base\root.vhdx"), ("absolute_win32_path", @"\base\root.vhdx")],
            child.Images[0].Vhdx!.ParentLocator.Select(pair => (pair.Key, pair.Value)));
    }

    private static async Task ExpectOpenAsync(MemoryStorageResolver resolver, string path, ImageOpenOptions? options = null)
    {
        await using var disk = await VirtualDisk.OpenAsync(path, options, resolver, TestContext.Current.CancellationToken);
        Assert.Equal(2, disk.Images.Count);
        var content = new byte[MiB];
        await disk.ReadAsync(0, content, TestContext.Current.CancellationToken);
        Assert.Equal(Pattern(0), content);
    }

    private static byte[] Image(string id, List<(string, string)> locator) => new PlainVhdxBuilder
    {
        DataWriteId = PlainVhdxBytes.Identifier(id),
        Locator = locator,
        Blocks = locator.Count > 0 ? [] : new() { [0] = new PlainVhdxBlock(6, Pattern(0)) },
    }.Build();

    private static MemoryStorageResolver Memory(params (string Name, byte[] Content)[] files)
    {
        var resolver = new MemoryStorageResolver();
        foreach (var (name, content) in files)
        {
            resolver.Add(name, content);
        }

        return resolver;
    }
}
