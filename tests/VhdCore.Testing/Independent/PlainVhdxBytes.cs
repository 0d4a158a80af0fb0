namespace VhdCore.Testing.Independent;

/// <summary>Little-endian numbers, identifiers and the Castagnoli CRC, the long way.</summary>
internal static class PlainVhdxBytes
{
    private static readonly uint[][] Tables = MakeTables();

    /// <summary>An unsigned number of <paramref name="count"/> bytes, lowest first.</summary>
    public static ulong Number(byte[] bytes, long offset, int count)
    {
        ulong value = 0;
        for (var i = count - 1; i >= 0; i--)
        {
            value = (value * 256) + bytes[offset + i];
        }

        return value;
    }

    public static void Number(byte[] bytes, long offset, ulong value, int count)
    {
        for (var i = 0; i < count; i++)
        {
            bytes[offset + i] = (byte)(value % 256);
            value /= 256;
        }
    }

    /// <summary>The 16 bytes that an identifier's usual text stands for: the first three groups are numbers, lowest byte first.</summary>
    public static byte[] Identifier(string text)
    {
        var digits = text.Trim().Trim('{', '}').Replace("-", "", StringComparison.Ordinal);
        if (digits.Length != 32)
        {
            throw new PlainFormatException($"'{text}' is no identifier");
        }

        var plain = Convert.FromHexString(digits);
        return [plain[3], plain[2], plain[1], plain[0], plain[5], plain[4], plain[7], plain[6], .. plain[8..]];
    }

    /// <summary>The checksum of all bytes, the four at <paramref name="field"/> taken as zero.</summary>
    public static uint Checksum(byte[] bytes, int field)
    {
        var state = Sum(0xFFFFFFFF, bytes, 0, Math.Min(field, bytes.Length));
        if (field < bytes.Length)
        {
            state = Sum(state, new byte[4], 0, 4);
            state = Sum(state, bytes, field + 4, bytes.Length);
        }

        return state ^ 0xFFFFFFFF;
    }

    /// <summary>Makes the checksum of a structure inside an image right again; its field is at byte 4 of the structure.</summary>
    public static void Mend(byte[] image, long offset, int size)
    {
        var structure = new byte[size];
        Array.Copy(image, offset, structure, 0, size);
        Number(image, offset + 4, Checksum(structure, 4), 4);
    }

    /// <summary>UTF-16, lowest byte first.</summary>
    public static byte[] Text(string text)
    {
        var bytes = new byte[text.Length * 2];
        for (var i = 0; i < text.Length; i++)
        {
            Number(bytes, i * 2, text[i], 2);
        }

        return bytes;
    }

    public static string Text(byte[] bytes, long offset, int count)
    {
        var text = "";
        for (var i = 0; i + 1 < count; i += 2)
        {
            text += (char)Number(bytes, offset + i, 2);
        }

        return text;
    }

    // Eight bytes at a time: the i-th table has what a byte comes to that i more bytes follow.
    private static uint Sum(uint state, byte[] bytes, int from, int to)
    {
        for (; to - from >= 8; from += 8)
        {
            state ^= (uint)(bytes[from] + (bytes[from + 1] << 8) + (bytes[from + 2] << 16) + (bytes[from + 3] << 24));
            state = Tables[7][(byte)state] ^ Tables[6][(byte)(state >> 8)] ^ Tables[5][(byte)(state >> 16)] ^ Tables[4][state >> 24]
                ^ Tables[3][bytes[from + 4]] ^ Tables[2][bytes[from + 5]] ^ Tables[1][bytes[from + 6]] ^ Tables[0][bytes[from + 7]];
        }

        for (; from < to; from++)
        {
            state = Tables[0][(byte)(state ^ bytes[from])] ^ (state >> 8);
        }

        return state;
    }

    private static uint[][] MakeTables()
    {
        var tables = new uint[8][];
        for (var i = 0; i < 8; i++)
        {
            tables[i] = new uint[256];
            for (uint value = 0; value < 256; value++)
            {
                tables[i][value] = i == 0 ? Divide(value) : tables[0][(byte)tables[i - 1][value]] ^ (tables[i - 1][value] >> 8);
            }
        }

        return tables;
    }

    private static uint Divide(uint value)
    {
        for (var bit = 0; bit < 8; bit++)
        {
            value = value % 2 == 1 ? (value >> 1) ^ 0x82F63B78 : value >> 1;
        }

        return value;
    }
}
