using System.Text;
using VhdCore.Primitives;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Primitives;

public class Crc32CTests
{
    // The check value of the CRC catalogues, and the examples of RFC 3720, appendix B.4.
    public static TheoryData<byte[], uint> Vectors => new()
    {
        { [], 0 },
        { Encoding.ASCII.GetBytes("123456789"), 0xE3069283 },
        { new byte[32], 0x8A9136AA },
        { [.. Enumerable.Repeat((byte)0xFF, 32)], 0x62A8AB43 },
        { [.. Enumerable.Range(0, 32).Select(i => (byte)i)], 0x46DD794E },
        { [.. Enumerable.Range(0, 32).Select(i => (byte)(31 - i))], 0x113FDB5C },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Published_values_come_out(byte[] bytes, uint checksum) => Assert.Equal(checksum, Crc32C.Of(bytes));

    [Fact]
    public void Every_length_and_split_gives_what_the_plain_way_gives()
    {
        var bytes = new byte[300];
        new Random(32).NextBytes(bytes);
        for (var length = 0; length <= bytes.Length; length++)
        {
            var whole = bytes.AsSpan(0, length);
            var expected = PlainVhdxBytes.Checksum(whole.ToArray(), field: int.MaxValue - 4);
            Assert.Equal(expected, Crc32C.Of(whole));
            var split = length / 3;
            Assert.Equal(expected, Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Start, whole[..split]), whole[split..])));
        }
    }

    [Fact]
    public void A_checksum_field_counts_as_zeros()
    {
        var bytes = new byte[64];
        new Random(33).NextBytes(bytes);
        for (var field = 0; field <= bytes.Length - 4; field++)
        {
            var cleared = bytes.ToArray();
            cleared.AsSpan(field, 4).Clear();
            Assert.Equal(Crc32C.Of(cleared), Crc32C.ExcludingField(bytes, field));
        }
    }
}
