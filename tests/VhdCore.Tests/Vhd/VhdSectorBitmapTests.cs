using VhdCore.Vhd;

namespace VhdCore.Tests.Vhd;

public class VhdSectorBitmapTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(4096)]
    public void Runs_and_bytes_agree_with_a_list_of_bits(int sectorCount)
    {
        var random = new Random(sectorCount);
        var bits = new bool[sectorCount];
        var bitmap = VhdSectorBitmap.CreateEmpty(sectorCount);
        for (var round = 0; round < 200 && !bits.All(bit => bit); round++)
        {
            var sector = random.Next(sectorCount);
            var count = random.Next(1, Math.Min(130, sectorCount - sector) + 1);
            bitmap.Set(sector, count);
            Array.Fill(bits, true, sector, count);
            Check(bits, bitmap);

            var bytes = new byte[(((sectorCount / 8) + 512) / 512) * 512];
            bitmap.WriteTo(bytes);
            for (var i = 0; i < sectorCount; i++)
            {
                Assert.Equal(bits[i], (bytes[i / 8] & (0x80 >> (i % 8))) != 0); // the highest bit of a byte is its first sector
            }

            Check(bits, VhdSectorBitmap.Parse(bytes, sectorCount));
        }
    }

    [Fact]
    public void A_bitmap_with_all_bits_set_takes_no_memory_of_its_own()
    {
        var bytes = new byte[512];
        bytes.AsSpan().Fill(0xFF);

        Assert.Same(VhdSectorBitmap.Full, VhdSectorBitmap.Parse(bytes, 4096));
        Assert.Same(VhdSectorBitmap.Full, VhdSectorBitmap.Parse(bytes, 5));
    }

    [Fact]
    public void Bits_behind_the_last_sector_mean_nothing()
    {
        var bytes = new byte[512];
        bytes[0] = 0b1110_0000;

        Assert.True(VhdSectorBitmap.Parse(bytes, 3).IsFull);
        Assert.False(VhdSectorBitmap.Parse(bytes, 4).IsFull);
    }

    private static void Check(bool[] bits, VhdSectorBitmap bitmap)
    {
        Assert.Equal(bits.All(bit => bit), bitmap.IsFull);
        for (var sector = 0; sector < bits.Length; sector++)
        {
            var expected = 1;
            while (sector + expected < bits.Length && bits[sector + expected] == bits[sector])
            {
                expected++;
            }

            Assert.Equal(expected, bitmap.RunLength(sector, bits.Length - sector, out var isPresent));
            Assert.Equal(bits[sector], isPresent);
            Assert.Equal(1, bitmap.RunLength(sector, 1, out _));
        }
    }
}
