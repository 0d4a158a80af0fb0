namespace VhdCore.Testing.Independent;

/// <summary>Big-endian numbers and text into byte arrays, and the specification's geometry, the long way.</summary>
internal static class PlainWriting
{
    public static void Number(byte[] bytes, int offset, ulong value, int count)
    {
        for (var i = count - 1; i >= 0; i--)
        {
            bytes[offset + i] = (byte)(value % 256);
            value /= 256;
        }
    }

    public static void Text(byte[] bytes, int offset, string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            bytes[offset + i] = (byte)text[i];
        }
    }

    /// <summary>Makes a footer's checksum right again.</summary>
    public static void MendFooter(byte[] image, long offset) => Mend(image, offset, 512, 64);

    /// <summary>Makes a dynamic header's checksum right again.</summary>
    public static void MendHeader(byte[] image, long offset) => Mend(image, offset, 1024, 36);

    /// <summary>Cylinders, heads and sectors for a count of sectors, as the specification's appendix computes them.</summary>
    public static (long Cylinders, long Heads, long Sectors) Geometry(long total)
    {
        total = Math.Min(total, 65535L * 16 * 255);
        if (total >= 65535L * 16 * 63)
        {
            return (total / 255 / 16, 16, 255);
        }

        long sectors = 17;
        var tracks = total / 17;
        var heads = Math.Max(4, (tracks + 1023) / 1024);
        if (tracks >= heads * 1024 || heads > 16)
        {
            sectors = 31;
            heads = 16;
            tracks = total / 31;
        }

        if (tracks >= heads * 1024)
        {
            sectors = 63;
            heads = 16;
            tracks = total / 63;
        }

        return (tracks / heads, heads, sectors);
    }

    private static void Mend(byte[] image, long offset, int size, int checksumOffset)
    {
        if (offset < 0 || offset > image.Length - size)
        {
            return;
        }

        var structure = PlainBytes.Part(image, (int)offset, size);
        Number(image, (int)offset + checksumOffset, PlainBytes.Checksum(structure, checksumOffset), 4);
    }
}
