using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Vhd;

namespace VhdCore.Tests.Vhd;

public sealed class VhdMetadataReaderSampleTests
{
    [Theory]
    [InlineData("qemu-hyperv2012r2-dynamic.vhd", ImageKind.Dynamic, 136365211648, 65024, 1536)]
    [InlineData("dfvfs-fat-differential.vhd", ImageKind.Differencing, 4194304, 2, 8192)]
    [InlineData("dfvfs-ext2.vhd", ImageKind.Dynamic, 4212736, 3, 1536)]
    [InlineData("xs-base.vhd", ImageKind.Dynamic, 16777216, 8, 1536)]
    [InlineData("xs-snap1.vhd", ImageKind.Differencing, 16777216, 8, 1536)]
    [InlineData("xs-snap2.vhd", ImageKind.Differencing, 16777216, 8, 1536)]
    [InlineData("xs-rawchild.vhd", ImageKind.Differencing, 4194304, 2, 1536)]
    [InlineData("xs-prealloc.vhd", ImageKind.Dynamic, 33554432, 16, 1536)]
    [InlineData("xapi-full.vhd", ImageKind.Dynamic, 16777216, 8, 2048)]
    [InlineData("xs-fixed.vhd", ImageKind.Fixed, 4194304, 0, 0)]
    public async Task Images_of_other_programs_are_read_without_a_warning(string name, ImageKind kind, long size, int blockCount, long tableOffset)
    {
        var warnings = new List<string>();
        var storage = VhdSamples.Open(name);
        var metadata = await VhdMetadataReader.ReadAsync(
            storage, new ImageOpenOptions { Writable = true, OnWarning = warning => warnings.Add(warning.Message) }, TestContext.Current.CancellationToken);
        Assert.Empty(warnings);
        Assert.Equal((kind, size, blockCount), (metadata.Kind, metadata.VirtualSize, metadata.BlockCount));
        Assert.Equal((ulong)tableOffset, metadata.Header?.TableOffset ?? 0);
        Assert.Equal(storage.Length - 512, metadata.EndFooterOffset);
        Assert.Equal(name.StartsWith("xs-", StringComparison.Ordinal) && kind != ImageKind.Fixed, metadata.Batmap is not null);
    }

    [Fact]
    public async Task Windows_10_names_a_parent_in_two_locators()
    {
        var metadata = await ReadAsync("dfvfs-fat-differential.vhd", new ImageOpenOptions());
        Assert.Equal(
            [new(VhdPlatformCode.W2ku, @"C:\Projects\dfvfs\test_data\fat-parent.vhd"), new(VhdPlatformCode.W2ru, @".\fat-parent.vhd")],
            metadata.ParentLocators);
        Assert.Equal(@"C:\Projects\dfvfs\test_data\fat-parent.vhd", metadata.Header!.ParentUnicodeName);
        Assert.Equal(Guid.Parse("5fa21a55-f394-aa4d-9958-1951a67d5540"), metadata.Header.ParentUniqueId);
    }

    [Fact]
    public async Task XenServer_names_a_parent_in_three_locators()
    {
        var metadata = await ReadAsync("xs-snap1.vhd", new ImageOpenOptions());
        Assert.Equal(
            [new(VhdPlatformCode.MacX, "file://./xs-base.vhd"), new(VhdPlatformCode.W2ku, @".\xs-base.vhd"), new(VhdPlatformCode.W2ru, @".\xs-base.vhd")],
            metadata.ParentLocators);
        Assert.Equal("xs-base.vhd", metadata.Header!.ParentUnicodeName);
    }

    [Fact]
    public async Task A_fixed_disk_of_Windows_7_is_read()
    {
        var storage = VhdSamples.Of([]);
        var footer = VhdSamples.Read("win7-fixed-3G.footer.bin");
        await storage.SetLengthAsync(3221225472, TestContext.Current.CancellationToken);
        await VhdCore.Testing.ByteArrayExtensions.WriteBytesAsync(storage, 3221225472, footer, cancellationToken: TestContext.Current.CancellationToken);
        var metadata = await VhdMetadataReader.ReadAsync(storage, new ImageOpenOptions(), TestContext.Current.CancellationToken);
        Assert.Equal((ImageKind.Fixed, 3221225472), (metadata.Kind, metadata.VirtualSize));
    }

    [Fact]
    public async Task Wrong_checksums_are_refused_read_on_demand_and_never_written()
    {
        var refusal = await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync("dfvfs-image.vhd", new ImageOpenOptions()));
        Assert.Contains("--ignore-bad-checksum", refusal.Message, StringComparison.Ordinal);
        var warnings = 0;
        var metadata = await ReadAsync("dfvfs-image.vhd", new ImageOpenOptions { IgnoreBadChecksum = true, OnWarning = _ => warnings++ });
        Assert.Equal(104448, metadata.VirtualSize);
        Assert.True(warnings > 0);
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync("dfvfs-image.vhd", new ImageOpenOptions { IgnoreBadChecksum = true, Writable = true }));
    }

    [Theory]
    [InlineData("xs-poisoned.vhd", "journal")]
    [InlineData("xs-keyhash.vhd", "encrypted")]
    public async Task Disabled_and_encrypted_images_are_refused_with_the_reason_and_still_described(string name, string reason)
    {
        var refusal = await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(name, new ImageOpenOptions()));
        Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
        Assert.Equal(name, refusal.Path);
        Assert.NotNull(refusal.FileOffset);
        var examination = await VhdExaminer.ExamineAsync(VhdSamples.Open(name), new ImageOpenOptions(), TestContext.Current.CancellationToken);
        Assert.True(examination.HasUsableTable);
        Assert.Equal("tap", examination.Metadata!.Footer.CreatorText);
        Assert.True(examination.Metadata.BlockCount > 0);
    }

    private static async Task<VhdMetadata> ReadAsync(string name, ImageOpenOptions options) =>
        await VhdMetadataReader.ReadAsync(VhdSamples.Open(name), options, TestContext.Current.CancellationToken);
}
