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

    // Around the runs that are computed side by side, and around multiples of them.
    public static TheoryData<int, int> LongLengths => [.. from center in new[] { 384, 1152, 4080, 4096, 4464, 8160, 8544, 65536 } from more in Enumerable.Range(-9, 19) select (center, more)];

    [Theory]
    [MemberData(nameof(LongLengths))]
    public void Long_runs_give_what_the_plain_way_gives_at_any_alignment(int center, int more)
    {
        var bytes = new byte[center + more + 16];
        new Random(center + more).NextBytes(bytes);
        var alignment = (more + 16) % 16;
        var whole = bytes.AsSpan(alignment, center + more);
        Assert.Equal(ByDefinition(whole), Crc32C.Of(whole));
    }

    [Fact]
    public void The_way_without_an_instruction_gives_the_same()
    {
        var bytes = new byte[5000];
        new Random(34).NextBytes(bytes);
        foreach (var length in Enumerable.Range(0, 300).Concat([4095, 4096, 4097, 5000]))
        {
            var whole = bytes.AsSpan(0, length);
            Assert.Equal(ByDefinition(whole), Crc32C.Finish(Crc32CTable.Append(Crc32C.Start, whole)));
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

    /// <summary>The remainder of the message by the polynomial, a bit at a time.</summary>
    private static uint ByDefinition(ReadOnlySpan<byte> bytes)
    {
        var state = uint.MaxValue;
        foreach (var value in bytes)
        {
            state ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                state = (state >> 1) ^ ((state & 1) * 0x82F6_3B78);
            }
        }

        return ~state;
    }
}
