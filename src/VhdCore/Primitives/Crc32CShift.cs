namespace VhdCore.Primitives;

/// <summary>What a CRC-32C state becomes over a fixed number of zero bytes. Linear in the state, so a table for each of its bytes does it.</summary>
internal sealed class Crc32CShift
{
    private readonly uint[] _tables = new uint[4 * 256];

    /// <param name="length">Bytes of zeros.</param>
    public Crc32CShift(int length)
    {
        var zeros = new byte[length];
        for (var bit = 0; bit < 32; bit++)
        {
            var column = Crc32CTable.Append(1u << bit, zeros);
            var table = _tables.AsSpan(bit / 8 * 256, 256);
            var mask = 1 << (bit % 8);
            for (var value = mask; value < 256; value++)
            {
                if ((value & mask) != 0)
                {
                    table[value] ^= column;
                }
            }
        }
    }

    /// <summary>The state behind the zeros.</summary>
    public uint Apply(uint state) =>
        _tables[state & 0xFF] ^ _tables[256 + ((state >> 8) & 0xFF)] ^ _tables[512 + ((state >> 16) & 0xFF)] ^ _tables[768 + (state >> 24)];
}
