using VhdCore.Primitives;

namespace VhdCore.Tests.Primitives;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("4096", 4096)]
    [InlineData("5b", 5)]
    [InlineData("64k", 65536)]
    [InlineData("64K", 65536)]
    [InlineData("1.5G", 1610612736)]
    [InlineData("0.1G", 107374182)]
    [InlineData("1.0001k", 1024)]
    [InlineData("2040G", 2040L << 30)]
    [InlineData("64T", 64L << 40)]
    [InlineData("1p", 1L << 50)]
    [InlineData("7.5E", 15L << 59)]
    [InlineData("0x1000", 4096)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void Sizes_are_read_as_people_type_them(string text, long expected)
    {
        Assert.True(ByteSize.TryParse(text, out var size));
        Assert.Equal(expected, size);
    }

    [Theory]
    [InlineData("")]
    [InlineData("k")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData("1X")]
    [InlineData("1kB")]
    [InlineData("1 k")]
    [InlineData("1.5")]
    [InlineData("1.5b")]
    [InlineData("1e3")]
    [InlineData(".5k")]
    [InlineData("1,5k")]
    [InlineData("8E")]
    [InlineData("9223372036854775808")]
    [InlineData("0xFFFFFFFFFFFFFFFF")]
    [InlineData("0x")]
    [InlineData("0x10k")]
    [InlineData("99999999999999999999999999999999999E")]
    public void What_is_no_size_is_refused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(512, "512 B")]
    [InlineData(999, "999 B")]
    [InlineData(1000, "0.977 KiB")]
    [InlineData(1024, "1 KiB")]
    [InlineData(106496, "104 KiB")]
    [InlineData(3168256, "3.02 MiB")]
    [InlineData(136365211648, "127 GiB")]
    [InlineData(long.MaxValue, "8 EiB")]
    public void Sizes_are_shown_with_three_digits(long size, string expected) => Assert.Equal(expected, ByteSize.Format(size));
}
