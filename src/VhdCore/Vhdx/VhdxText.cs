using System.Buffers.Binary;

namespace VhdCore.Vhdx;

/// <summary>Text in the format's structures: UTF-16, little-endian.</summary>
internal static class VhdxText
{
    /// <summary>The text up to the first NUL or the end. Unpaired surrogates stay; half a character at the end does not.</summary>
    public static string FromUtf16(ReadOnlySpan<byte> bytes)
    {
        var text = new char[bytes.Length / sizeof(char)];
        for (var i = 0; i < text.Length; i++)
        {
            text[i] = (char)BinaryPrimitives.ReadUInt16LittleEndian(bytes[(i * sizeof(char))..]);
            if (text[i] == '\0')
            {
                return new string(text, 0, i);
            }
        }

        return new string(text);
    }

    /// <summary>A name from a file, fit for a message: control characters, which a terminal would obey, are replaced.</summary>
    public static string Printable(string text) =>
        string.Create(text.Length, text, static (into, from) =>
        {
            for (var i = 0; i < into.Length; i++)
            {
                into[i] = char.IsControl(from[i]) || char.IsSurrogate(from[i]) ? '\uFFFD' : from[i];
            }
        });
}
