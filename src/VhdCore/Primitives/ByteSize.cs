using System.Globalization;

namespace VhdCore.Primitives;

/// <summary>Sizes as people type and read them: b, k, M, G, T, P and E are powers of 1024.</summary>
public static class ByteSize
{
    private const string Suffixes = "bkMGTPE";

    /// <summary>Reads a size such as <c>4096</c>, <c>0x1000</c>, <c>64k</c> or <c>1.5G</c>: a number, then one letter in either case. Fractions need a suffix other than b.</summary>
    /// <param name="text">What was typed.</param>
    /// <param name="size">Bytes, a fraction of a byte dropped; from 0 to 2^63-1.</param>
    /// <returns>False where the text is anything else.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, out long size)
    {
        size = 0;
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            return long.TryParse(text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out size) && size >= 0;
        }

        var exponent = 0;
        var hasSuffix = text.Length > 0 && (exponent = Suffixes.IndexOf(text[^1], StringComparison.OrdinalIgnoreCase)) >= 0;
        if (hasSuffix)
        {
            text = text[..^1];
        }

        if (text.Length == 0 || !char.IsAsciiDigit(text[0])
            || !decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            || ((!hasSuffix || exponent == 0) && text.Contains('.'))
            || number > long.MaxValue)
        {
            return false;
        }

        var unit = hasSuffix ? 1L << (10 * exponent) : 1;
        var bytes = decimal.Truncate(number * unit); // below 2^63 times 2^60: a decimal holds 2^96
        if (number > long.MaxValue / unit && bytes > long.MaxValue)
        {
            return false;
        }

        size = (long)bytes;
        return true;
    }

    /// <summary>Three digits and a binary unit, such as <c>1.5 GiB</c> or <c>512 B</c>.</summary>
    /// <param name="size">Bytes.</param>
    public static string Format(long size)
    {
        ReadOnlySpan<string> units = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        double value = size;
        var unit = 0;

        // From 1000 on the next unit is used, so that three digits do.
        while (Math.Abs(value) >= 1000 && unit < units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return value.ToString("G3", CultureInfo.InvariantCulture) + " " + units[unit] + "B";
    }
}
