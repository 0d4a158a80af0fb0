using System.Buffers.Binary;

namespace VhdCore.Primitives;

/// <summary>CRC-32C for processors without the instruction: eight bytes a step, by a table for each of them.</summary>
internal static class Crc32CTable
{
    private const uint Polynomial = 0x82F6_3B78; // reflected
    private const int Step = 8; // bytes

    private static readonly uint[] Tables = Create();

    /// <inheritdoc cref="Crc32C.Append"/>
    public static uint Append(uint state, ReadOnlySpan<byte> bytes)
    {
        var tables = Tables;
        while (bytes.Length >= Step)
        {
            var low = state ^ BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            var high = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
            state = tables[(7 * 256) + (int)(low & 0xFF)] ^ tables[(6 * 256) + (int)((low >> 8) & 0xFF)]
                ^ tables[(5 * 256) + (int)((low >> 16) & 0xFF)] ^ tables[(4 * 256) + (int)(low >> 24)]
                ^ tables[(3 * 256) + (int)(high & 0xFF)] ^ tables[(2 * 256) + (int)((high >> 8) & 0xFF)]
                ^ tables[256 + (int)((high >> 16) & 0xFF)] ^ tables[(int)(high >> 24)];
            bytes = bytes[Step..];
        }

        foreach (var value in bytes)
        {
            state = tables[(int)((state ^ value) & 0xFF)] ^ (state >> 8);
        }

        return state;
    }

    /// <summary>Table k has what a byte becomes over k more bytes of zeros.</summary>
    private static uint[] Create()
    {
        var tables = new uint[Step * 256];
        for (var value = 0u; value < 256; value++)
        {
            var state = value;
            for (var bit = 0; bit < 8; bit++)
            {
                state = (state & 1) != 0 ? (state >> 1) ^ Polynomial : state >> 1;
            }

            tables[value] = state;
        }

        for (var i = 256; i < tables.Length; i++)
        {
            tables[i] = tables[(int)(tables[i - 256] & 0xFF)] ^ (tables[i - 256] >> 8);
        }

        return tables;
    }
}
