using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

public sealed class VhdxChainTests
{
    private const string RootId = "10000001-0002-0003-0405-060708090a0b";
    private const string MiddleId = "1000000a-0002-0003-0405-060708090a0b";
    private const string LeafId = "1000000b-0002-0003-0405-060708090a0b";
    private const string StrangeId = "deadbeef-0002-0003-0405-060708090a0b";

    private static readonly byte[] Root = Image(RootId, [], 0, 1, 2, 3);
    private static readonly byte[] Middle = Image(MiddleId, [("parent_linkage", $"{{{RootId}}}"), ("relative_path", @".\root.vhdx")], 1);
    private static readonly byte[] Leaf = Image(LeafId, [("parent_linkage", $"{{{MiddleId}}}"), ("relative_path", @"..\base\middle.vhdx")], 2);

    [Fact]
    public async Task A_chain_of_three_reads_as_one_disk()
    {
        var resolver = Memory(("/vm/leaf.avhdx", Leaf), ("/base/middle.vhdx", Middle), ("/base/root.vhdx", Root));
        await using var disk = await VirtualDisk.OpenAsync("/vm/leaf.avhdx", resolver: resolver, cancellationToken: TestContext.Current.CancellationToken);
        var content = new byte[disk.Length];
        await disk.ReadAsync(0, content, TestContext.Current.CancellationToken);
        Assert.Equal(ReadPlainly(Leaf, Middle, Root), content);
        Assert.Equal(["/vm/leaf.avhdx", "/base/middle.vhdx", "/base/root.vhdx"], disk.Images.Select(image => image.Path));
        Assert.All(disk.Images, image => Assert.Empty(image.Warnings));
        Assert.Equal((512, 4096), (disk.Device.Info.LogicalSectorSize, disk.Device.Info.PhysicalSectorSize));
        Assert.Equal(Leaf, resolver.GetBytes("/vm/leaf.avhdx"));
    }

    [Theory]
    [InlineData("relative_path", @"root.vhdx")]
    [InlineData("relative_path", @"..\vm\root.vhdx")]
    [InlineData("volume_path", @"\\?\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\vm\root.vhdx")]
    [InlineData("absolute_win32_path", @"\\?\d:\vm\root.vhdx")]
    [InlineData("absolute_win32_path", @"\\?\d:\somewhere\else\root.vhdx")]
    [InlineData("absolute_win32_path", @"\\?\UNC\server\share\root.vhdx")]
    [InlineData("absolute_win32_path", @"\\?\server\share\root.vhdx")]
    [InlineData("absolute_win32_path", @"C:\root.vhdx")]
    public async Task A_parent_is_found_by_each_key(string key, string path)
    {
        var leaf = Image(LeafId, [("parent_linkage", $"{{{RootId}}}"), (key, path)], 2);
        await ExpectOpenAsync(Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.vhdx", Root)));
    }

    [Fact]
    public async Task Keys_are_tried_in_the_specifications_order()
    {
        var leaf = Image(LeafId, [("parent_linkage", RootId), ("absolute_win32_path", @"\\?\c:\a.vhdx"), ("volume_path", @"\\?\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\b.vhdx"), ("relative_path", @".\c.vhdx")], 2);
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(Memory(("/vm/leaf.vhdx", leaf))));
        var places = new[] { "/vm/c.vhdx", "/b.vhdx", "/a.vhdx" }.Select(place => exception.Message.IndexOf($"'{place}'", StringComparison.Ordinal)).ToArray();
        Assert.All(places, place => Assert.True(place > 0, exception.Message));
        Assert.Equal(places.Order(), places);
    }

    [Theory]
    [InlineData("10000001-0002-0003-0405-060708090a0b")]
    [InlineData("{10000001-0002-0003-0405-060708090A0B}")]
    [InlineData("{10000001-0002-0003-0405-060708090a0b}")]
    public async Task An_identifier_may_be_written_in_any_way(string linkage)
    {
        var leaf = Image(LeafId, [("parent_linkage", linkage), ("relative_path", "root.vhdx")], 2);
        await ExpectOpenAsync(Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.vhdx", Root)));
    }

    [Fact]
    public async Task While_a_merge_is_under_way_either_identifier_is_the_parents()
    {
        foreach (var (first, second) in new[] { (StrangeId, RootId), (RootId, StrangeId) })
        {
            var leaf = Image(LeafId, [("parent_linkage", first), ("parent_linkage2", second), ("relative_path", "root.vhdx")], 2);
            await ExpectOpenAsync(Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.vhdx", Root)));
        }
    }

    [Fact]
    public async Task Another_image_in_the_parents_place_is_refused_unless_it_is_to_be_taken()
    {
        var leaf = Image(LeafId, [("parent_linkage", StrangeId), ("relative_path", "root.vhdx")], 2);
        var resolver = Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.vhdx", Root));
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(resolver));
        Assert.Contains(RootId, exception.Message, StringComparison.Ordinal);
        Assert.Contains(StrangeId, exception.Message, StringComparison.Ordinal);
        await ExpectOpenAsync(resolver, new ImageOpenOptions { IgnoreParentId = true });
    }

    [Fact]
    public async Task A_locator_without_an_identifier_leads_to_no_parent_that_could_be_trusted()
    {
        var leaf = Image(LeafId, [("relative_path", "root.vhdx")], 2);
        var resolver = Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.vhdx", Root));
        await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(resolver));
        await ExpectOpenAsync(resolver, new ImageOpenOptions { IgnoreParentId = true });
    }

    [Fact]
    public async Task A_VHD_or_raw_file_is_never_a_VHDXs_parent()
    {
        var leaf = Image(LeafId, [("parent_linkage", RootId), ("relative_path", "root.img")], 2);
        var resolver = Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.img", new byte[MiB]));
        foreach (var ignored in new[] { false, true })
        {
            var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(resolver, new ImageOpenOptions { IgnoreParentId = ignored }));
            Assert.Contains("no VHDX", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_parent_with_other_sectors_is_refused()
    {
        var root = new PlainVhdxBuilder { SectorSize = 4096, DataWriteId = PlainVhdxBytes.Identifier(RootId) }.Build();
        var leaf = Image(LeafId, [("parent_linkage", RootId), ("relative_path", "root.vhdx")], 2);
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await ExpectOpenAsync(Memory(("/vm/leaf.vhdx", leaf), ("/vm/root.vhdx", root))));
        Assert.Contains("4096", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dirty_parent_is_read_as_after_replay_and_stays_as_it_is()
    {
        var root = Root.ToArray();
        var log = new PlainVhdxLogWriter(root, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier(StrangeId));
        log.Add(log.Take(new PlainVhdxBuilder().BatOffset, old: 0));
        log.MarkDirty();
        var resolver = Memory(("/vm/leaf.avhdx", Leaf), ("/base/middle.vhdx", Middle), ("/base/root.vhdx", root));
        await using var disk = await VirtualDisk.OpenAsync("/vm/leaf.avhdx", resolver: resolver, cancellationToken: TestContext.Current.CancellationToken);
        var content = new byte[disk.Length];
        await disk.ReadAsync(0, content, TestContext.Current.CancellationToken);
        Assert.Equal(ReadPlainly(Leaf, Middle, Root), content);
        Assert.Equal(root, resolver.GetBytes("/base/root.vhdx"));
    }

    [Fact]
    public async Task Info_describes_the_whole_chain()
    {
        var resolver = Memory(("/vm/leaf.avhdx", Leaf), ("/base/middle.vhdx", Middle), ("/base/root.vhdx", Root));
        var infos = await InfoOperation.RunAsync("/vm/leaf.avhdx", resolver: resolver, wholeChain: true, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(["/base/middle.vhdx", "/base/root.vhdx", null], infos.Select(info => info.ParentPath));
        Assert.Equal([ImageKind.Differencing, ImageKind.Differencing, ImageKind.Dynamic], infos.Select(info => info.Kind));
        Assert.Equal(new VhdxBlockCounts(3, 0, 0, 0, 1, 0, 0), infos[0].Vhdx!.Blocks);
        Assert.Equal("parent_linkage", infos[0].Vhdx!.ParentLocator[0].Key);
        Assert.Equal(new Guid(RootId), infos[2].UniqueId);
    }

    [Fact]
    public async Task What_cannot_be_done_with_a_VHDX_is_refused_in_words_and_leaves_nothing_behind()
    {
        var resolver = Memory(("/vm/root.vhdx", Root));
        var stop = TestContext.Current.CancellationToken;
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await VirtualDisk.CreateAsync(
            "/vm/new.vhd", new() { Format = ImageFormat.Vhd, Kind = ImageKind.Differencing, Parent = "/vm/root.vhdx" }, resolver, stop));
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await VirtualDisk.CreateAsync(
            "/vm/new.vhdx", new() { Format = ImageFormat.Vhdx, Size = MiB, BlockSize = 512 << 10 }, resolver, stop));
        await Assert.ThrowsAsync<ArgumentException>(async () => await VirtualDisk.CreateAsync(
            "/vm/new.vhdx", new() { Format = ImageFormat.Vhdx, Size = MiB, ChsCompatible = true }, resolver, stop));
        Assert.Equal(Root, resolver.GetBytes("/vm/root.vhdx"));
        Assert.Equal(["/vm/root.vhdx"], resolver.Names);
    }

    [Fact]
    public async Task A_measured_size_is_the_size_of_the_image()
    {
        var resolver = Memory();
        var stop = TestContext.Current.CancellationToken;
        var options = new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = 9 * MiB, BlockSize = 2 * MiB };
        await using (var disk = await VirtualDisk.CreateAsync("/vm/new.vhdx", options, resolver, stop))
        {
            Assert.Equal(MeasureOperation.OfEmpty(options).Required, resolver.GetBytes("/vm/new.vhdx").Length);
            await disk.WriteAsync(3 * MiB, new byte[] { 1 }, cancellationToken: stop);
            await disk.WriteAsync(8 * MiB, new byte[] { 1 }, cancellationToken: stop);
        }

        await using var written = await VirtualDisk.OpenAsync("/vm/new.vhdx", resolver: resolver, cancellationToken: stop);
        var measured = await MeasureOperation.RunAsync(written.Device, options, stop);
        Assert.Equal(resolver.GetBytes("/vm/new.vhdx").Length, measured.Required);
        Assert.Equal(MeasureOperation.OfEmpty(options).Required + (5 * 2 * MiB), measured.FullyAllocated);
    }

    [Fact]
    public async Task A_child_that_is_created_has_its_parents_sectors_and_identity()
    {
        var resolver = Memory(("/base/root.vhdx", Root));
        var stop = TestContext.Current.CancellationToken;
        await using (var disk = await VirtualDisk.CreateAsync(
            "/vm/new.avhdx", new() { Format = ImageFormat.Vhdx, Kind = ImageKind.Differencing, Parent = "/base/root.vhdx" }, resolver, stop))
        {
            await disk.WriteAsync(5, new byte[] { 7 }, cancellationToken: stop);
        }

        await using var child = await VirtualDisk.OpenAsync("/vm/new.avhdx", resolver: resolver, cancellationToken: stop);
        Assert.Equal(2, child.Images.Count);
        Assert.Equal(child.Images[1].Vhdx!.VirtualDiskId, child.Images[0].Vhdx!.VirtualDiskId);
        Assert.Equal(child.Images[1].Vhdx!.LogicalSectorSize, child.Images[0].Vhdx!.LogicalSectorSize);
        Assert.Contains(child.Images[0].Vhdx!.ParentLocator, pair => pair.Key == "relative_path" && pair.Value == "..\\base\\root.vhdx");
        var content = new byte[512];
        await child.ReadAsync(0, content, stop);
        Assert.Equal(7, content[5]);
    }

    [Fact]
    public async Task A_file_that_is_a_VHDX_at_its_start_and_a_VHD_at_its_end_is_neither_until_somebody_says_so()
    {
        var footer = new byte[512];
        PlainWriting.Text(footer, 0, "conectix");
        PlainWriting.MendFooter(footer, 0);
        byte[] image = [.. Root, .. footer];
        var resolver = Memory(("/vm/root.vhdx", image));
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await ExpectOpenAsync(resolver, path: "/vm/root.vhdx"));
        await ExpectOpenAsync(resolver, new() { Format = ImageFormat.Vhdx }, "/vm/root.vhdx");
        footer[20] ^= 1; // not even a VHD's: what Disk2vhd leaves behind the last block
        await ExpectOpenAsync(Memory(("/vm/root.vhdx", [.. Root, .. footer])), path: "/vm/root.vhdx");
    }

    private static async Task ExpectOpenAsync(MemoryStorageResolver resolver, ImageOpenOptions? options = null, string path = "/vm/leaf.vhdx")
    {
        await using var disk = await VirtualDisk.OpenAsync(path, options, resolver, TestContext.Current.CancellationToken);
        var content = new byte[disk.Length];
        await disk.ReadAsync(0, content, TestContext.Current.CancellationToken);
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal(Pattern(i), content[(i * MiB)..((i + 1) * MiB)]);
        }
    }

    private static byte[] Image(string id, List<(string, string)> locator, params int[] blocks) => new PlainVhdxBuilder
    {
        DataWriteId = PlainVhdxBytes.Identifier(id),
        Locator = locator,
        Blocks = blocks.ToDictionary(i => (long)i, i => new PlainVhdxBlock(6, Pattern(i))),
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
