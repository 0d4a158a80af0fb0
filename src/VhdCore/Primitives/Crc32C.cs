using System.Buffers.Binary;
using System.Numerics;

namespace VhdCore.Primitives;

/// <summary>
/// CRC-32C, the Castagnoli polynomial, as VHDX uses it ([MS-VHDX] §2): reflected, all ones at first, complemented at the end. Computed by the
/// processor's own instruction where it has one, three runs at a time.
/// </summary>
internal static class Crc32C
{
    /// <summary>The state before the first byte; for <see cref="Append"/>.</summary>
    public const uint Start = uint.MaxValue;

    // The instruction takes three cycles and can be begun in every one. Three long runs are a page of 4 KiB but for 16 bytes.
    private const int LongRun = 1360; // bytes
    private const int ShortRun = 128; // bytes

    private static readonly Crc32CShift OverLongRun = new(LongRun);
    private static readonly Crc32CShift OverShortRun = new(ShortRun);

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
    public static uint Append(uint state, ReadOnlySpan<byte> bytes) =>
        HasInstruction ? AppendByInstruction(state, bytes) : Crc32CTable.Append(state, bytes);

    /// <summary>The checksum that a state stands for.</summary>
    public static uint Finish(uint state) => ~state;

    private static bool HasInstruction => System.Runtime.Intrinsics.X86.Sse42.X64.IsSupported || System.Runtime.Intrinsics.Arm.Crc32.Arm64.IsSupported;

    private static uint AppendByInstruction(uint state, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= 3 * LongRun)
        {
            state = AppendThreeRuns(state, bytes, LongRun, OverLongRun);
            bytes = bytes[(3 * LongRun)..];
        }

        while (bytes.Length >= 3 * ShortRun)
        {
            state = AppendThreeRuns(state, bytes, ShortRun, OverShortRun);
            bytes = bytes[(3 * ShortRun)..];
        }

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

    /// <summary>The state is linear in what went before: each run is begun from zero, and moved over the runs behind it when they are joined.</summary>
    private static uint AppendThreeRuns(uint state, ReadOnlySpan<byte> bytes, int run, Crc32CShift overRun)
    {
        var first = bytes[..run];
        var second = bytes.Slice(run, run);
        var third = bytes.Slice(2 * run, run);
        uint secondState = 0;
        uint thirdState = 0;
        for (var i = 0; i <= first.Length - sizeof(ulong); i += sizeof(ulong))
        {
            state = BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt64LittleEndian(first[i..]));
            secondState = BitOperations.Crc32C(secondState, BinaryPrimitives.ReadUInt64LittleEndian(second[i..]));
            thirdState = BitOperations.Crc32C(thirdState, BinaryPrimitives.ReadUInt64LittleEndian(third[i..]));
        }

        return overRun.Apply(overRun.Apply(state) ^ secondState) ^ thirdState;
    }
}
