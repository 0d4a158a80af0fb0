using System.Buffers.Binary;
using System.Numerics;

namespace VhdCore.Primitives;

/// <summary>
/// CRC-32C, the Castagnoli polynomial, as VHDX uses it ([MS-VHDX] §2): reflected, all ones at first, complemented at the end. Computed by the
/// processor's own instruction where it has one.
/// </summary>
internal static class Crc32C
{
    /// <summary>The state before the first byte; for <see cref="Append"/>.</summary>
    public const uint Start = uint.MaxValue;

    /// <summary>The checksum of <paramref name="bytes"/>.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes) => Finish(Append(Start, bytes));

    /// <summary>The checksum, counting the four bytes of the checksum field at <paramref name="fieldOffset"/> as zeros.</summary>
    public static uint ExcludingField(ReadOnlySpan<byte> bytes, int fieldOffset) =>
        Finish(AppendExcludingField(Start, bytes, fieldOffset));

    /// <summary>As <see cref="Append"/>, counting the four bytes of the checksum field at <paramref name="fieldOffset"/> as zeros.</summary>
    public static uint AppendExcludingField(uint state, ReadOnlySpan<byte> bytes, int fieldOffset)
    {
        state = Append(state, bytes[..fieldOffset]);
        state = BitOperations.Crc32C(state, 0u);
        return Append(state, bytes[(fieldOffset + sizeof(uint))..]);
    }

    /// <summary>Goes on with more bytes; give <see cref="Start"/> at first and <see cref="Finish"/> the result at the end.</summary>
    public static uint Append(uint state, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= sizeof(ulong))
        {
            state = BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (var value in bytes)
        {
            state = BitOperations.Crc32C(state, value);
        }

        return state;
    }

    /// <summary>The checksum that a state stands for.</summary>
    public static uint Finish(uint state) => ~state;
}
