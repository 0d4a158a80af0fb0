namespace VhdCore.Tests.Operations;

/// <summary>Content for tests.</summary>
internal static class Pattern
{
    /// <summary>Bytes of which none is zero; the same every time.</summary>
    public static byte[] Bytes(int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        for (var i = 0; i < length; i++)
        {
            bytes[i] |= 1;
        }

        return bytes;
    }
}
