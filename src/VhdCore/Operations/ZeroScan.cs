namespace VhdCore.Operations;

/// <summary>Finds zeros in what was read.</summary>
internal static class ZeroScan
{
    public static bool IsZero(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0);

    /// <summary>How long the first run of one kind is, in whole grains counted from the span's start; the last grain may be short.</summary>
    /// <param name="bytes">At least one byte.</param>
    /// <param name="grain">Bytes; 0 takes everything for data.</param>
    /// <param name="isZero">Every grain of the run is zero; otherwise none is.</param>
    public static int FirstRun(ReadOnlySpan<byte> bytes, int grain, out bool isZero)
    {
        isZero = false;
        if (grain == 0)
        {
            return bytes.Length;
        }

        isZero = IsZero(bytes[..Math.Min(grain, bytes.Length)]);
        if (isZero)
        {
            var firstData = bytes.IndexOfAnyExcept((byte)0);
            return firstData < 0 ? bytes.Length : firstData / grain * grain;
        }

        var end = Math.Min(grain, bytes.Length);
        while (end < bytes.Length && !IsZero(bytes.Slice(end, Math.Min(grain, bytes.Length - end))))
        {
            end = Math.Min(end + grain, bytes.Length);
        }

        return end;
    }
}
