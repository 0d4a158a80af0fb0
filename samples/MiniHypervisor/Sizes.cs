using System.Globalization;

namespace MiniHypervisor;

/// <summary>Sizes as people type them.</summary>
internal static class Sizes
{
    /// <summary>A number of bytes, with K, M, G or T behind it for powers of 1024.</summary>
    public static long Parse(string text)
    {
        var shift = text.Length == 0 ? 0 : char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, 'T' => 40, _ => 0 };
        if (!long.TryParse(shift == 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number > long.MaxValue >> shift)
        {
            throw new FormatException($"'{text}' is no size: a number, or one with K, M, G or T behind it.");
        }

        return number << shift;
    }
}
