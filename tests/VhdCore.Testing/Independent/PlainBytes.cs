using System.Text;

namespace VhdCore.Testing.Independent;

/// <summary>Bytes of a stream, and big-endian numbers in them, the long way.</summary>
internal static class PlainBytes
{
    /// <summary>Bytes from a place in a stream; what lies behind its end is zero.</summary>
    public static byte[] Read(Stream file, long offset, int count)
    {
        var bytes = new byte[count];
        if (offset < 0 || offset >= file.Length)
        {
            return bytes;
        }

        file.Position = offset;
        var done = 0;
        while (done < count)
        {
            var got = file.Read(bytes, done, count - done);
            if (got == 0)
            {
                break;
            }

            done += got;
        }

        return bytes;
    }

    /// <summary>An unsigned number of <paramref name="count"/> bytes, highest first.</summary>
    public static ulong Number(byte[] bytes, int offset, int count)
    {
        ulong value = 0;
        for (var i = 0; i < count; i++)
        {
            value = (value * 256) + bytes[offset + i];
        }

        return value;
    }

    public static bool HasText(byte[] bytes, int offset, string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (bytes[offset + i] != text[i])
            {
                return false;
            }
        }

        return true;
    }

    public static byte[] Part(byte[] bytes, int offset, int count)
    {
        var part = new byte[count];
        Array.Copy(bytes, offset, part, 0, count);
        return part;
    }

    /// <summary>The complement of the sum of all bytes but the four of the checksum itself.</summary>
    public static ulong Checksum(byte[] bytes, int checksumOffset)
    {
        ulong sum = 0;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (i < checksumOffset || i >= checksumOffset + 4)
            {
                sum += bytes[i];
            }
        }

        return 0xFFFFFFFF - (sum % 0x1_0000_0000);
    }

    public static string Hex(byte[] bytes)
    {
        var text = new StringBuilder();
        foreach (var b in bytes)
        {
            text.Append("0123456789abcdef"[b / 16]).Append("0123456789abcdef"[b % 16]);
        }

        return text.ToString();
    }
}
