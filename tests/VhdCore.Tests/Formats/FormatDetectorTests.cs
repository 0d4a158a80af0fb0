using System.Text;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Vhd;

namespace VhdCore.Tests.Formats;

public sealed class FormatDetectorTests
{
    private const int DiskSize = 1 << 20; // bytes

    [Fact]
    public async Task A_fixed_VHD_is_known_by_its_footer_whatever_the_guest_wrote_in_front()
    {
        var image = GuestBytes().Concat(Footer(VhdDiskType.Fixed)).ToArray();
        "QFI\u00FB"u8[..3].CopyTo(image);
        image[3] = 0xFB;
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", image));
    }

    [Fact]
    public async Task A_footer_of_511_bytes_counts()
    {
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", [.. GuestBytes(), .. Footer(VhdDiskType.Fixed)[..511]]));
    }

    [Fact]
    public async Task A_poisoned_image_is_a_VHD()
    {
        var footer = Footer(VhdDiskType.Dynamic);
        "v_poison"u8.CopyTo(footer);
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", [.. footer, .. new byte[4096]]));
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", [.. new byte[4096], .. footer]));
    }

    [Fact]
    public async Task A_dynamic_VHD_cut_at_any_length_never_becomes_raw()
    {
        var whole = DynamicImage();
        for (var length = 8; length <= whole.Length; length++)
        {
            Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", whole[..length]));
        }
    }

    [Fact]
    public async Task A_dynamic_VHD_without_either_footer_is_known_by_its_header()
    {
        var image = DynamicImage();
        image.AsSpan(0, 512).Clear();
        image.AsSpan(image.Length - 512).Clear();
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", image));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(64)]
    [InlineData(200)]
    public async Task A_footer_with_one_wrong_byte_is_still_a_footer(int at)
    {
        var footer = Footer(VhdDiskType.Fixed);
        footer[at] ^= 0xFF;
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", [.. GuestBytes(), .. footer]));
    }

    [Fact]
    public async Task A_footer_whose_cookie_was_overwritten_is_known_by_its_checksum()
    {
        var footer = Footer(VhdDiskType.Fixed);
        footer.AsSpan(0, 8).Clear();
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", [.. GuestBytes(), .. footer]));
    }

    [Fact]
    public async Task A_footer_whose_cookie_and_checksum_are_gone_is_known_by_its_fields()
    {
        var footer = Footer(VhdDiskType.Fixed);
        footer.AsSpan(0, 8).Clear();
        footer.AsSpan(64, 4).Clear();
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", [.. GuestBytes(), .. footer]));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(512)]
    [InlineData(60 << 10)]
    public async Task A_fixed_VHD_with_zeros_behind_its_footer_never_becomes_raw(int padding)
    {
        Assert.Equal(ImageFormat.Vhd, await DetectAsync("/disk", [.. GuestBytes(), .. Footer(VhdDiskType.Fixed), .. new byte[padding]]));
    }

    [Fact]
    public async Task Content_that_holds_another_disks_footer_stays_raw()
    {
        var content = GuestBytes();
        Footer(VhdDiskType.Fixed).CopyTo(content, DiskSize - 4096);
        content.AsSpan(DiskSize - 3584).Clear();
        Assert.Equal(ImageFormat.Raw, await DetectAsync("/disk", content));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(510)]
    [InlineData(512)]
    [InlineData(70_001)]
    public async Task Anything_else_is_raw(int length)
    {
        Assert.Equal(ImageFormat.Raw, await DetectAsync("/disk.img", GuestBytes()[..length]));
        Assert.Equal(ImageFormat.Raw, await DetectAsync("/disk.img", new byte[length]));
    }

    [Theory]
    [InlineData("/disk.vhd")]
    [InlineData("/disk.VHD")]
    [InlineData("/disk.avhd")]
    [InlineData("/disk.vhdx")]
    [InlineData("/disk.avhdx")]
    public async Task A_name_that_promises_a_VHD_is_not_raw(string name)
    {
        foreach (var length in (int[])[0, 511, 512, DiskSize])
        {
            var exception = await Assert.ThrowsAsync<CorruptImageException>(async () => await DetectAsync(name, GuestBytes()[..length]));
            Assert.Equal(name, exception.Path);
            Assert.Contains("-f raw", exception.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("514649FB 00000003", 0, "QCOW2")]
    [InlineData("4B444D56", 0, "VMDK")]
    [InlineData("434F5744", 0, "VMDK")]
    [InlineData("7F10DABE", 64, "VDI")]
    [InlineData("51454400", 0, "QED")]
    [InlineData("1F8B08", 0, "gzip")]
    [InlineData("28B52FFD", 0, "zstd")]
    [InlineData("FD377A585A00", 0, "xz")]
    [InlineData("504B0304", 0, "ZIP")]
    [InlineData("7573746172", 257, "tar")]
    public async Task Another_formats_image_is_named_not_taken_for_raw(string bytes, int at, string format)
    {
        var content = new byte[DiskSize];
        Convert.FromHexString(bytes.Replace(" ", "", StringComparison.Ordinal)).CopyTo(content, at);
        var exception = await Assert.ThrowsAsync<UnsupportedImageException>(async () => await DetectAsync("/disk", content));
        Assert.Contains(format, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_VMDK_descriptor_and_an_XVA_are_named()
    {
        var descriptor = Encoding.ASCII.GetBytes("# Disk DescriptorFile\nversion=1\n");
        Assert.Contains("VMDK", (await Assert.ThrowsAsync<UnsupportedImageException>(async () => await DetectAsync("/disk", descriptor))).Message, StringComparison.Ordinal);
        var export = new byte[10240];
        "ova.xml"u8.CopyTo(export);
        "ustar"u8.CopyTo(export.AsSpan(257));
        Assert.Contains("XVA", (await Assert.ThrowsAsync<UnsupportedImageException>(async () => await DetectAsync("/disk", export))).Message, StringComparison.Ordinal);
    }

    private static async Task<ImageFormat> DetectAsync(string name, byte[] content)
    {
        var storage = new MemoryStorage(name);
        await using (storage)
        {
            storage.Replace(content);
            return await FormatDetector.DetectAsync(storage, TestContext.Current.CancellationToken);
        }
    }

    private static byte[] GuestBytes()
    {
        var bytes = new byte[DiskSize];
        new Random(1).NextBytes(bytes);
        bytes[0] = 0xEB;
        return bytes;
    }

    private static byte[] DynamicImage()
    {
        var header = new byte[VhdLayout.HeaderSize];
        VhdDynamicHeaderWriter.Write(new VhdDynamicHeader { TableOffset = 1536, MaxTableEntries = 1, BlockSize = 2 << 20 }, header);
        var table = new byte[512];
        table.AsSpan().Fill(0xFF);
        return [.. Footer(VhdDiskType.Dynamic), .. header, .. table, .. Footer(VhdDiskType.Dynamic)];
    }

    private static byte[] Footer(VhdDiskType type)
    {
        var footer = new byte[VhdLayout.FooterSize];
        VhdFooterWriter.Write(
            new VhdFooter
            {
                DataOffset = type == VhdDiskType.Fixed ? ulong.MaxValue : 512,
                OriginalSize = DiskSize,
                CurrentSize = DiskSize,
                Geometry = new VhdGeometry(30, 4, 17),
                DiskType = type,
                CreatorApplication = VhdCreatorApplication.Windows,
                UniqueId = new Guid("00112233-4455-6677-8899-aabbccddeeff"),
            },
            footer);
        return footer;
    }
}
