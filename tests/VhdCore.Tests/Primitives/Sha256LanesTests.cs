using System.Security.Cryptography;
using VhdCore.Primitives;

namespace VhdCore.Tests.Primitives;

public class Sha256LanesTests
{
    public static TheoryData<int> Lengths { get; } = [1, 65, 129, 1025, (1 << 16) + 1, (1 << 20) + 1];

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Every_message_has_its_own_SHA_256(int length)
    {
        Assert.SkipUnless(Sha256Lanes.IsSupported, "The processor lacks AVX-512BW.");
        var stride = length + 37;
        var bytes = new byte[Sha256Lanes.Count * stride];
        new Random(length).NextBytes(bytes);
        bytes.AsSpan(3 * stride, length).Clear();
        bytes.AsSpan(4 * stride, length).Fill(0xFF);
        var lanes = new Sha256Lanes();
        for (var round = 0; round < 2; round++) // the second, to see that nothing of the first is left
        {
            lanes.Reset();
            var half = (length - 1) / 128 * 64;
            lanes.Append(bytes, stride, half);
            lanes.Append(bytes.AsSpan(half), stride, length - 1 - half);
            var last = new byte[Sha256Lanes.Count];
            for (var i = 0; i < last.Length; i++)
            {
                last[i] = bytes[(i * stride) + length - 1];
            }

            var hashes = new byte[Sha256Lanes.Count * Sha256Lanes.HashSize];
            lanes.Finish(last, length, hashes);
            for (var i = 0; i < Sha256Lanes.Count; i++)
            {
                Assert.Equal(
                    Convert.ToHexString(SHA256.HashData(bytes.AsSpan(i * stride, length))),
                    Convert.ToHexString(hashes, i * Sha256Lanes.HashSize, Sha256Lanes.HashSize));
            }
        }
    }

    [Fact]
    public void What_is_no_whole_number_of_chunks_is_refused()
    {
        Assert.SkipUnless(Sha256Lanes.IsSupported, "The processor lacks AVX-512BW.");
        Assert.Throws<ArgumentOutOfRangeException>(() => new Sha256Lanes().Append(new byte[4096], 64, 63));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Sha256Lanes().Append(new byte[1000], 64, 64));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Sha256Lanes().Finish(new byte[16], 64, new byte[512]));
    }
}
