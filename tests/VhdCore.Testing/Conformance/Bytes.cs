namespace VhdCore.Testing.Conformance;

/// <summary>Content for tests, and its comparison.</summary>
internal static class Bytes
{
    /// <summary>Bytes that are never zero and depend on their place and the version.</summary>
    public static void Fill(Span<byte> bytes, int version)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(((i + (i >> 8) + (version * 31)) % 255) + 1);
        }
    }

    public static void AssertSame(ReadOnlyMemory<byte> expectedMemory, ReadOnlyMemory<byte> actualMemory, string when)
    {
        var expected = expectedMemory.Span;
        var actual = actualMemory.Span;
        var same = expected.CommonPrefixLength(actual);
        Assert.True(
            same == expected.Length && same == actual.Length,
            same < Math.Min(expected.Length, actual.Length)
                ? $"{when}: byte {same} is {actual[same]} and should be {expected[same]}."
                : $"{when}: there are {actual.Length} bytes and should be {expected.Length}.");
    }
}
