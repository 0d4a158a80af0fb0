using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Tests.Vhd;
using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Operations;

public sealed class InfoOperationTests
{
    [Fact]
    public async Task A_dynamic_VHD_is_described_with_its_blocks_counted()
    {
        var image = Image("base.vhd", 1, dialect: PlainDialect.Windows).PutText(0, 1).PutText(200, 1);
        var info = Assert.Single(await RunAsync(Memory(image), "/vm/base.vhd"));
        Assert.Equal(("/vm/base.vhd", ImageFormat.Vhd, ImageKind.Dynamic), (info.Path, info.Format, info.Kind));
        Assert.Equal((Size, image.Build().LongLength, BlockSize), (info.VirtualSize, info.FileLength, info.BlockSize));
        Assert.Equal(new Guid("7668646b-6974-4000-8000-000000000001"), info.UniqueId);
        Assert.Null(info.ParentPath);
        Assert.Empty(info.Warnings);
        Assert.False(info.IsRefused);
        var vhd = info.Vhd!;
        Assert.Equal((3U, "win ", 0x000A_0000U, "Wi2k"), (vhd.DiskType, vhd.CreatorApplication, vhd.CreatorVersion, vhd.CreatorHostOs));
        Assert.Equal(new DateTimeOffset(2024, 5, 1, 10, 0, 0, TimeSpan.Zero), vhd.Timestamp);
        Assert.Equal((8L, 2L, 1536UL, 8U), (vhd.BlockCount, vhd.AllocatedBlockCount, vhd.TableOffset, vhd.MaxTableEntries));
        Assert.Equal((true, (bool?)true, VhdFooterSource.End), (vhd.FooterChecksumIsValid, vhd.HeaderChecksumIsValid, vhd.FooterSource));
        Assert.Null(vhd.Batmap);
        Assert.Null(vhd.ParentUniqueId);
    }

    [Fact]
    public async Task A_chain_is_described_from_the_leaf_to_the_root_only_when_asked()
    {
        var root = Image("base.vhd", 1).PutText(0, 1);
        var leaf = Image("leaf.vhd", 2, root).PutText(100, 80);
        var resolver = Memory(root, leaf);
        var info = Assert.Single(await RunAsync(resolver, "/vm/leaf.vhd"));
        Assert.Equal("/vm/base.vhd", info.ParentPath);
        Assert.Equal(new Guid("7668646b-6974-4000-8000-000000000001"), info.Vhd!.ParentUniqueId);
        Assert.Equal(["MacX:file://./base.vhd", @"W2ku:.\base.vhd", @"W2ru:.\base.vhd"], info.Vhd.ParentLocators.Select(locator => $"{locator.PlatformCode}:{locator.Name}"));
        Assert.Equal("base.vhd", info.Vhd.ParentUnicodeName);
        Assert.Equal(new VhdBatmapInfo(0x0001_0002, 0, HasKeyHash: false), info.Vhd.Batmap);

        var chain = await RunAsync(resolver, "/vm/leaf.vhd", wholeChain: true);
        Assert.Equal(["/vm/leaf.vhd", "/vm/base.vhd"], chain.Select(image => image.Path));
        Assert.Equal([2L, 1L], chain.Select(image => image.Vhd!.AllocatedBlockCount));
        await using var unlocked = await resolver.OpenAsync("/vm/base.vhd", StorageOpenOptions.ForWriting, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_missing_parent_is_a_warning_and_the_image_is_described_all_the_same()
    {
        var info = Assert.Single(await RunAsync(Memory(Image("leaf.vhd", 2, Image("base.vhd", 1))), "/vm/leaf.vhd", wholeChain: true));
        Assert.True(info.IsRefused);
        Assert.Equal("file://./base.vhd", info.ParentPath);
        Assert.Contains("'/vm/base.vhd' does not exist", info.Warnings[0], StringComparison.Ordinal);
        Assert.Equal(8, info.Vhd!.BlockCount);
    }

    [Fact]
    public async Task An_image_with_a_wrong_checksum_is_described_as_refused()
    {
        var bytes = Image("base.vhd", 1).PutText(0, 1).Build();
        bytes[512 + 100] ^= 1; // in the dynamic header
        var resolver = new MemoryStorageResolver();
        resolver.Add("/x.vhd", bytes);
        var info = Assert.Single(await RunAsync(resolver, "/x.vhd"));
        Assert.True(info.IsRefused);
        Assert.False(info.Vhd!.HeaderChecksumIsValid);
        Assert.Equal(1, info.Vhd.AllocatedBlockCount);
        Assert.Contains("checksum", info.Warnings[0], StringComparison.OrdinalIgnoreCase);

        info = Assert.Single(await InfoOperation.RunAsync("/x.vhd", new() { IgnoreBadChecksum = true }, resolver, cancellationToken: TestContext.Current.CancellationToken));
        Assert.False(info.IsRefused);
        Assert.Single(info.Warnings);
    }

    [Theory]
    [InlineData(1000, 1024, true)]
    [InlineData(1024, 1024, false)]
    [InlineData(0, 0, false)]
    public async Task A_raw_image_is_as_long_as_whole_sectors(int fileLength, long size, bool isRounded)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/disk.img", new byte[fileLength]);
        var info = Assert.Single(await RunAsync(resolver, "/disk.img", wholeChain: true));
        Assert.Equal((ImageFormat.Raw, ImageKind.Fixed, size, (long)fileLength, isRounded), (info.Format, info.Kind, info.VirtualSize, info.FileLength, info.SizeRoundedUp));
        Assert.Null(info.Vhd);
    }

    [Fact]
    public async Task What_has_no_footer_at_all_cannot_be_described()
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/disk.vhd", new byte[4096]);
        await Assert.ThrowsAsync<CorruptImageException>(async () => await RunAsync(resolver, "/disk.vhd"));
        await Assert.ThrowsAsync<CorruptImageException>(
            async () => await InfoOperation.RunAsync("/disk.vhd", new() { Format = ImageFormat.Vhd }, resolver, cancellationToken: TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<StorageException>(async () => await RunAsync(resolver, "/missing.vhd"));
    }

    [Fact]
    public async Task A_poisoned_image_and_an_encrypted_one_are_described_with_the_reason_of_their_refusal()
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/xs-poisoned.vhd", VhdSamples.Read("xs-poisoned.vhd"));
        resolver.Add("/xs-keyhash.vhd", VhdSamples.Read("xs-keyhash.vhd"));
        var poisoned = Assert.Single(await RunAsync(resolver, "/xs-poisoned.vhd"));
        Assert.True(poisoned.IsRefused);
        Assert.True(poisoned.Vhd!.IsPoisoned);
        Assert.Contains("v_poison", poisoned.Warnings[0], StringComparison.Ordinal);
        var encrypted = Assert.Single(await RunAsync(resolver, "/xs-keyhash.vhd"));
        Assert.True(encrypted.IsRefused);
        Assert.True(encrypted.Vhd!.Batmap!.HasKeyHash);
        Assert.Contains("key", encrypted.Warnings[0], StringComparison.Ordinal);
    }

    private static Task<IReadOnlyList<ImageInfo>> RunAsync(IStorageResolver resolver, string path, bool wholeChain = false) =>
        InfoOperation.RunAsync(path, null, resolver, wholeChain, TestContext.Current.CancellationToken);
}
