namespace VhdCore.Primitives;

/// <summary>The checksum of VHD's structures: the ones' complement of the sum of all bytes.</summary>
internal static class OnesComplementSum
{
    /// <summary>The complement of the sum of <paramref name="bytes"/>, modulo 2^32.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes) => ~Add(0, bytes);

    /// <summary>The complement of the sum, counting the four bytes of the checksum field at <paramref name="fieldOffset"/> as zeros.</summary>
    public static uint ExcludingField(ReadOnlySpan<byte> bytes, int fieldOffset) =>
        ~Add(Add(0, bytes[..fieldOffset]), bytes[(fieldOffset + sizeof(uint))..]);

    /// <summary>Goes on summing; complement the result at the end.</summary>
    public static uint Add(uint sum, ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            sum = unchecked(sum + value);
        }

        return sum;
    }
}
