using System.Buffers.Binary;

namespace VhdCore.Vhd;

/// <summary>Text fields of the format.</summary>
internal static class VhdText
{
    /// <summary>Four bytes as text, the first character in the highest byte; NULs and other unprintable bytes are dropped.</summary>
    public static string FourCharacters(uint value)
    {
        Span<char> text = stackalloc char[4];
        var count = 0;
        for (var shift = 24; shift >= 0; shift -= 8)
        {
            var character = (char)((value >> shift) & 0xFF);
            if (character is >= ' ' and <= '~')
            {
                text[count++] = character;
            }
        }

        return new string(text[..count]);
    }

    /// <summary>UTF-16 up to the first NUL or the end. A byte order mark is obeyed and dropped; unpaired surrogates stay; half a character at the end does not.</summary>
    public static string FromUtf16(ReadOnlySpan<byte> bytes, bool bigEndian)
    {
        if (bytes.Length >= 2 && ((bytes[0] == 0xFE && bytes[1] == 0xFF) || (bytes[0] == 0xFF && bytes[1] == 0xFE)))
        {
            bigEndian = bytes[0] == 0xFE;
            bytes = bytes[2..];
        }

        var text = new char[bytes.Length / 2];
        for (var i = 0; i < text.Length; i++)
        {
            var pair = bytes[(i * 2)..];
            var character = (char)(bigEndian ? BinaryPrimitives.ReadUInt16BigEndian(pair) : BinaryPrimitives.ReadUInt16LittleEndian(pair));
            if (character == '\0')
            {
                return new string(text, 0, i);
            }

            text[i] = character;
        }

        return new string(text);
    }

    /// <summary>Bytes of <paramref name="text"/> as UTF-16LE, unpaired surrogates as they are.</summary>
    public static byte[] ToUtf16LittleEndian(string text)
    {
        var bytes = new byte[text.Length * 2];
        for (var i = 0; i < text.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(i * 2), text[i]);
        }

        return bytes;
    }
}
