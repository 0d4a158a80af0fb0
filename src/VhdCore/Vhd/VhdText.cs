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
}
