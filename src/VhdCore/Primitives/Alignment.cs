using System.Numerics;

namespace VhdCore.Primitives;

/// <summary>Rounding to a power of two. Values are bytes or counts, never negative.</summary>
internal static class Alignment
{
    /// <summary>The largest multiple of <paramref name="unit"/> that is not above <paramref name="value"/>.</summary>
    public static long Down(long value, long unit)
    {
        System.Diagnostics.Debug.Assert(BitOperations.IsPow2(unit));
        return value & -unit;
    }

    /// <summary>The smallest multiple of <paramref name="unit"/> that is not below <paramref name="value"/>.</summary>
    /// <exception cref="OverflowException">There is none below 2^63.</exception>
    public static long Up(long value, long unit)
    {
        System.Diagnostics.Debug.Assert(BitOperations.IsPow2(unit));
        return checked(value + (unit - 1)) & -unit;
    }

    /// <summary>Whether <paramref name="value"/> is a multiple of <paramref name="unit"/>.</summary>
    public static bool Is(long value, long unit)
    {
        System.Diagnostics.Debug.Assert(BitOperations.IsPow2(unit));
        return (value & (unit - 1)) == 0;
    }

    /// <summary>How many units of <paramref name="unit"/> bytes cover <paramref name="value"/> bytes; any positive unit.</summary>
    public static long CountOf(long value, long unit) => value == 0 ? 0 : ((value - 1) / unit) + 1;
}
