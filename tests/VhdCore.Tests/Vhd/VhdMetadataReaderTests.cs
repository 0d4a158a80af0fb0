using System.Text;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing.Independent;
using VhdCore.Vhd;

namespace VhdCore.Tests.Vhd;

public sealed class VhdMetadataReaderTests
{
    private const int Size = 256 << 10; // bytes
    private const int BlockSize = 32 << 10; // bytes

    [Fact]
    public async Task A_footer_of_511_bytes_counts()
    {
        var metadata = await ReadAsync(new PlainVhdBuilder { FileName = "a.vhd", Size = Size, IsFixed = true, FooterLength = 511 }.Build());
        Assert.Equal((Size, 511, Size), (metadata.EndFooterOffset, metadata.EndFooterLength, metadata.VirtualSize));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(512)]
    [InlineData(60 << 10)]
    public async Task Zeros_behind_the_footer_are_refused_with_the_length_to_cut_at(int padding)
    {
        var image = new PlainVhdBuilder { FileName = "a.vhd", Size = Size, IsFixed = true }.Build();
        var refusal = await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync([.. image, .. new byte[padding]]));
        Assert.Contains($"to {image.Length} bytes", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_an_end_footer_the_copy_serves_with_a_warning()
    {
        var warnings = new List<string>();
        var metadata = await ReadAsync(Dynamic()[..^512], new ImageOpenOptions { Writable = true, OnWarning = warning => warnings.Add(warning.Message) });
        Assert.Equal(-1, metadata.EndFooterOffset);
        Assert.Contains("does not end with a footer", Assert.Single(warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_guest_cannot_forge_the_footer_of_a_dynamic_image()
    {
        // A crash left the file ending in a guest's sector, which the guest made look like the footer of a child of some raw file.
        var forged = new PlainVhdBuilder { FileName = "a.vhd", Id = 66, Size = Size, BlockSize = BlockSize, RawParentName = "secret" }.Build()[^512..];
        var warnings = new List<string>();
        var metadata = await ReadAsync([.. Dynamic()[..^512], .. forged], new ImageOpenOptions { OnWarning = warning => warnings.Add(warning.Message) });
        Assert.Equal((ImageKind.Dynamic, -1), (metadata.Kind, metadata.EndFooterOffset));
        Assert.Single(warnings);
    }

    [Fact]
    public async Task A_guest_cannot_make_a_fixed_disk_dynamic_by_damage_to_the_footer()
    {
        var image = new PlainVhdBuilder { FileName = "a.vhd", Id = 1, Size = Size, IsFixed = true }.Build();
        new PlainVhdBuilder { FileName = "b.vhd", Id = 2, Size = Size, BlockSize = BlockSize }.Build().AsSpan(0, 2048).CopyTo(image);
        image[^100] ^= 1;
        await Assert.ThrowsAsync<CorruptImageException>(() => ReadAsync(image));
        Assert.Equal(ImageKind.Fixed, (await ReadAsync(image, new ImageOpenOptions { IgnoreBadChecksum = true })).Kind);
    }

    [Fact]
    public async Task Early_tapdisk_set_the_hidden_mark_without_summing_again_and_keeps_the_copy_true()
    {
        var image = Dynamic(PlainDialect.Xen);
        foreach (var at in new[] { 0, image.Length - 512 })
        {
            PlainWriting.Number(image, at + 32, 0x0001_0001, 4);
            PlainWriting.MendFooter(image, at);
        }

        image[85] = 1;
        Assert.True((await ReadAsync(image)).Footer.IsHidden);

        // A later version has no such excuse.
        PlainWriting.Number(image, 32, 0x0001_0003, 4);
        PlainWriting.MendFooter(image, 0);
        image[85] = 0;
        var examination = await VhdExaminer.ExamineAsync(VhdSamples.Of(image), new ImageOpenOptions(), TestContext.Current.CancellationToken);
        Assert.Contains(examination.Findings, finding => finding.Id == VhdFindingId.FooterCopyChecksum);
    }

    [Fact]
    public async Task A_poisoned_copy_disables_the_image_too()
    {
        var image = Dynamic();
        PlainWriting.Text(image, 0, "v_poison");
        PlainWriting.MendFooter(image, 0);
        await Assert.ThrowsAsync<UnsupportedImageException>(() => ReadAsync(image));
        var examination = await VhdExaminer.ExamineAsync(VhdSamples.Of(image), new ImageOpenOptions(), TestContext.Current.CancellationToken);
        Assert.True(examination.Metadata!.Footer.IsPoisoned);
    }

    [Fact]
    public async Task Reserved_bytes_may_hold_anything_and_are_kept()
    {
        var image = Dynamic();
        foreach (var at in new[] { 0, image.Length - 512 })
        {
            image.AsSpan(at + 86, 426).Fill(0xAB);
            PlainWriting.MendFooter(image, at);
        }

        image.AsSpan(512 + 768, 256).Fill(0xCD);
        PlainWriting.MendHeader(image, 512);
        var warnings = 0;
        var metadata = await ReadAsync(image, new ImageOpenOptions { Writable = true, OnWarning = _ => warnings++ });
        Assert.Equal(0, warnings);
        Assert.Equal(image[^512..], metadata.FooterBytes.ToArray());
    }

    [Fact]
    public async Task The_size_may_be_forced()
    {
        var image = Dynamic();
        Assert.Equal(Size, (await ReadAsync(image, new ImageOpenOptions { VhdSize = VhdSizeChoice.Current })).VirtualSize);
        var (cylinders, heads, sectors) = PlainWriting.Geometry(Size / 512);
        Assert.Equal(cylinders * heads * sectors * 512, (await ReadAsync(image, new ImageOpenOptions { VhdSize = VhdSizeChoice.Chs })).VirtualSize);
    }

    [Theory]
    [InlineData(VhdPlatformCode.MacX, "file://./a%20b.vhd", "file://./a%20b.vhd")]
    [InlineData(VhdPlatformCode.MacX, "file:///d/é.vhd\0trash", "file:///d/é.vhd")]
    public Task Locators_of_bytes_are_read_up_to_a_NUL(uint code, string data, string name) => HasLocatorAsync(code, Encoding.UTF8.GetBytes(data), name);

    [Fact]
    public async Task Locators_of_every_platform_are_read()
    {
        await HasLocatorAsync(VhdPlatformCode.W2ku, Encoding.Unicode.GetBytes(@"C:\x\é.vhd"), @"C:\x\é.vhd");
        await HasLocatorAsync(VhdPlatformCode.W2ru, Encoding.Unicode.GetBytes(".\\x.vhd\0\0"), @".\x.vhd");
        await HasLocatorAsync(VhdPlatformCode.W2ru, [0x41, 0x00, 0x00, 0xD8, 0x42, 0x00, 0x43], "A\uD800B");
        await HasLocatorAsync(VhdPlatformCode.W2ru, [0xFE, 0xFF, 0x00, 0x41], "A");
        await HasLocatorAsync(VhdPlatformCode.Wi2r, [0x2E, 0x5C, 0xE9], ".\\é");
        await HasLocatorAsync(VhdPlatformCode.Wi2k, "C:\\x"u8.ToArray(), "C:\\x");
        await HasLocatorAsync(VhdPlatformCode.Mac, "alias"u8.ToArray(), null);
        await HasLocatorAsync(VhdPlatformCode.W2ku, [], null);
    }

    [Fact]
    public async Task A_cancelled_read_ends_as_cancelled()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await VhdMetadataReader.ReadAsync(VhdSamples.Of(Dynamic()), new ImageOpenOptions(), cancelled.Token));
    }

    private static async Task HasLocatorAsync(uint code, byte[] data, string? name)
    {
        var image = new PlainVhdBuilder { FileName = "a.vhd", Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Windows, RawParentName = "base" }.PutText(0, 1).Build();
        var at = (int)PlainBytes.Number(image, 512 + 576 + 16, 8);
        Array.Clear(image, at, 512);
        data.CopyTo(image, at);
        Array.Clear(image, 512 + 600, 24);
        PlainWriting.Number(image, 512 + 576, code, 4);
        PlainWriting.Number(image, 512 + 576 + 4, 1, 4); // in sectors, as the specification says
        PlainWriting.Number(image, 512 + 576 + 8, (ulong)data.Length, 4);
        PlainWriting.MendHeader(image, 512);
        var metadata = await ReadAsync(image);
        Assert.Equal(name is null ? [] : [new VhdParentLocator(code, name)], metadata.ParentLocators);
    }

    private static byte[] Dynamic(PlainDialect dialect = PlainDialect.Qemu) =>
        new PlainVhdBuilder { FileName = "a.vhd", Size = Size, BlockSize = BlockSize, Dialect = dialect }.PutText(3, 4).Build();

    private static async Task<VhdMetadata> ReadAsync(byte[] image, ImageOpenOptions? options = null) =>
        await VhdMetadataReader.ReadAsync(VhdSamples.Of(image), options ?? new ImageOpenOptions(), TestContext.Current.CancellationToken);
}
