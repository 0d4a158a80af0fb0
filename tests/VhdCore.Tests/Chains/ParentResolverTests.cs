using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Chains;

public sealed class ParentResolverTests
{
    [Theory]
    [InlineData((int)PlainDialect.Windows)]
    [InlineData((int)PlainDialect.Xen)]
    public async Task A_chain_of_three_reads_as_one_disk(int dialect)
    {
        var root = Image("base.vhd", 1, dialect: (PlainDialect)dialect).PutText(0, 40).PutText(200, 100);
        var middle = Image("middle.vhd", 2, root, (PlainDialect)dialect).PutText(20, 30).PutZeros(210, 5);
        var leaf = Image("leaf.vhd", 3, middle, (PlainDialect)dialect).PutText(45, 10);
        var disk = await OpenAsync(Memory(root, middle, leaf), "/vm/leaf.vhd");
        await using (disk)
        {
            Assert.Equal(leaf.Content(), await ReadAllAsync(disk));
            Assert.Equal(["/vm/leaf.vhd", "/vm/middle.vhd", "/vm/base.vhd"], disk.Images.Select(image => image.Path));
            Assert.Equal(["/vm/middle.vhd", "/vm/base.vhd", null], disk.Images.Select(image => image.ParentPath));
            Assert.All(disk.Images, image => Assert.Empty(image.Warnings));
        }
    }

    [Fact]
    public async Task The_identifier_tells_which_of_the_names_is_right()
    {
        var root = Image("base.vhd", 1).PutText(3, 2);
        var other = Image("base.vhd", 9);
        var leaf = Image("leaf.vhd", 3, root, PlainDialect.Windows);
        var resolver = Memory(leaf);
        resolver.Add("/Disks/base.vhd", other.Build()); // the absolute name's drive taken off
        resolver.Add("/vm/base.vhd", root.Build());
        Assert.Equal(leaf.Content(), await ReadAllAsync(resolver, "/vm/leaf.vhd"));
    }

    [Fact]
    public async Task A_missing_parent_is_refused_with_every_place_that_was_tried()
    {
        var leaf = Image("leaf.vhd", 3, Image("base.vhd", 1), PlainDialect.Windows);
        var resolver = Memory(leaf);
        var before = resolver.GetBytes("/vm/leaf.vhd");
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd", new() { Writable = true }));
        Assert.Equal("/vm/leaf.vhd", exception.Path);
        Assert.Equal(512 + 576, exception.FileOffset);
        foreach (var place in (string[])["'/Disks/base.vhd'", "'/vm/Disks/base.vhd'", "'/vm/base.vhd'"])
        {
            Assert.Contains(place + " does not exist", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal(before, resolver.GetBytes("/vm/leaf.vhd"));
        Assert.Equal(["/vm/leaf.vhd"], resolver.Names);
        await using var unlocked = await resolver.OpenAsync("/vm/leaf.vhd", StorageOpenOptions.ForWriting, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_parent_of_another_identifier_is_refused_unless_a_person_takes_it()
    {
        var leaf = Image("leaf.vhd", 3, Image("base.vhd", 1)).PutText(7, 1);
        var other = Image("base.vhd", 9).PutText(8, 4);
        var resolver = Memory(leaf, other);
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd"));
        Assert.Contains("7668646b-6974-4000-8000-000000000001", exception.Message, StringComparison.Ordinal);
        Assert.Contains("7668646b-6974-4000-8000-000000000009", exception.Message, StringComparison.Ordinal);
        Assert.Contains("--ignore-parent-id", exception.Message, StringComparison.Ordinal);
        Assert.Equal(512 + 40, exception.FileOffset);

        var warnings = new List<ImageWarning>();
        var expected = Image("leaf.vhd", 3, other).PutText(7, 1).Content();
        Assert.Equal(expected, await ReadAllAsync(resolver, "/vm/leaf.vhd", new() { IgnoreParentId = true, OnWarning = warnings.Add }));
        Assert.Contains(warnings, warning => warning.Path == "/vm/leaf.vhd" && warning.Message.Contains("000000000009", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Something_else_under_the_parents_name_is_refused()
    {
        var leaf = Image("leaf.vhd", 3, Image("base.img", 1));
        var resolver = Memory(leaf);
        resolver.Add("/vm/base.img", new byte[Size]);
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd"));
        Assert.Contains("no VHD", exception.Message, StringComparison.Ordinal);

        var qcow2 = new byte[Size];
        Convert.FromHexString("514649FB00000003").CopyTo(qcow2, 0);
        resolver.Add("/vm/base.img", qcow2);
        Assert.Contains("QCOW2", (await Assert.ThrowsAsync<UnsupportedImageException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_parent_is_refused_by_its_own_reason()
    {
        var root = Image("base.vhd", 1);
        var resolver = Memory(Image("leaf.vhd", 3, root));
        var damaged = root.Build();
        damaged[512 + 100] ^= 1; // in the dynamic header
        resolver.Add("/vm/base.vhd", damaged);
        var exception = await Assert.ThrowsAsync<CorruptImageException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd"));
        Assert.Equal("/vm/base.vhd", exception.Path);
    }

    [Theory]
    [InlineData(Size / 2)]
    [InlineData(Size * 2)]
    [InlineData(512)]
    public async Task A_parent_of_another_size_is_used_with_a_warning(int parentSize)
    {
        var root = Image("base.vhd", 1, size: parentSize).PutText(0, parentSize / 512);
        var leaf = Image("leaf.vhd", 3, root).PutText(300, 4);
        var warnings = new List<ImageWarning>();
        var content = await ReadAllAsync(Memory(root, leaf), "/vm/leaf.vhd", new() { OnWarning = warnings.Add });
        Assert.Equal(leaf.Content(), content);
        Assert.Contains(warnings, warning => warning.Message.Contains($"{parentSize} bytes", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Size)]
    [InlineData(Size - 4096)]
    [InlineData(1000)]
    [InlineData(0)]
    public async Task A_child_without_a_parents_identifier_has_a_raw_parent(int rawSize)
    {
        var raw = new byte[rawSize];
        new Random(5).NextBytes(raw);
        var leaf = RawChild();
        var resolver = Memory(leaf);
        resolver.Add("/vm/base.raw", raw);
        var expected = leaf.Content();
        for (var i = 0; i < rawSize; i++)
        {
            expected[i] = i / 512 is >= 10 and < 13 ? expected[i] : raw[i];
        }

        Assert.Equal(expected, await ReadAllAsync(resolver, "/vm/leaf.vhd"));
    }

    [Fact]
    public async Task A_raw_parent_stays_raw_whatever_the_guest_wrote_into_it()
    {
        var leaf = RawChild();
        var looksLikeVhd = Image("base.raw", 1).PutText(5, 5).Build();
        var resolver = Memory(leaf);
        resolver.Add("/vm/base.raw", looksLikeVhd);
        var content = await ReadAllAsync(resolver, "/vm/leaf.vhd");
        Assert.Equal(looksLikeVhd.AsSpan(0, 10 * 512).ToArray(), content.AsSpan(0, 10 * 512).ToArray());
    }

    [Fact]
    public async Task A_name_ignored_and_an_identifier_ignored_take_the_first_file_there_is()
    {
        var root = Image("base.raw", 1).PutText(5, 5);
        var resolver = Memory(RawChild(), root);
        var expected = root.Content();
        RawChild().Content().AsSpan(10 * 512, 3 * 512).CopyTo(expected.AsSpan(10 * 512));
        Assert.Equal(expected, await ReadAllAsync(resolver, "/vm/leaf.vhd", new() { IgnoreParentId = true }));
    }

    [Fact]
    public async Task Parents_may_be_forbidden()
    {
        var root = Image("base.vhd", 1);
        var resolver = Memory(root, Image("leaf.vhd", 3, root));
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(
            async () => await OpenAsync(resolver, "/vm/leaf.vhd", new() { Parents = ParentPolicy.Refuse }));
        Assert.Equal("/vm/leaf.vhd", exception.Path);
        await ReadAllAsync(resolver, "/vm/base.vhd", new() { Parents = ParentPolicy.Refuse });
    }

    [Fact]
    public async Task A_parent_that_somebody_writes_is_in_use_and_one_of_a_chain_may_not_be_written()
    {
        var root = Image("base.vhd", 1);
        var resolver = Memory(root, Image("leaf.vhd", 3, root));
        var token = TestContext.Current.CancellationToken;
        await using (await resolver.OpenAsync("/vm/base.vhd", StorageOpenOptions.ForWriting, token))
        {
            var exception = await Assert.ThrowsAsync<ImageInUseException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd"));
            Assert.Equal("/vm/base.vhd", exception.Path);
            await ReadAllAsync(resolver, "/vm/leaf.vhd", new() { Sharing = StorageSharing.Force });
        }

        await using (await OpenAsync(resolver, "/vm/leaf.vhd", new() { Writable = true }))
        {
            await Assert.ThrowsAsync<ImageInUseException>(async () => await resolver.OpenAsync("/vm/base.vhd", StorageOpenOptions.ForWriting, token));
        }
    }

    [Fact]
    public async Task Options_that_contradict_each_other_are_refused_before_anything_is_opened()
    {
        var resolver = new MemoryStorageResolver();
        await Assert.ThrowsAsync<ArgumentException>(async () => await OpenAsync(resolver, "/x", new() { Writable = true, Sharing = StorageSharing.Force }));
        await Assert.ThrowsAsync<ArgumentException>(async () => await OpenAsync(resolver, "/x", new() { Writable = true, IgnoreBadChecksum = true }));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await OpenAsync(resolver, "/x", new() { MaxChainDepth = 0 }));
        resolver.Add("/x", new byte[512]);
        await Assert.ThrowsAsync<ArgumentException>(async () => await OpenAsync(resolver, "/x", new() { Parents = ParentPolicy.BelowRoot }));
        Assert.Equal(new byte[512], await ReadAllAsync(resolver, "/x"));
    }

    private static PlainVhdBuilder RawChild() => new PlainVhdBuilder
    {
        FileName = "leaf.vhd",
        Id = 3,
        Size = Size,
        BlockSize = BlockSize,
        Dialect = PlainDialect.Xen,
        RawParentName = "base.raw",
    }.PutText(10, 3);
}
