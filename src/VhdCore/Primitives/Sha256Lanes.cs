using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace VhdCore.Primitives;

/// <summary>
/// SHA-256 (FIPS 180-4) of sixteen messages of one length at once, one in each lane of a vector register. On one core at least half as fast again as one
/// message at a time by the processor's own SHA instructions.
/// </summary>
internal sealed class Sha256Lanes
{
    /// <summary>Messages.</summary>
    public const int Count = 16;

    /// <summary>Bytes of a hash.</summary>
    public const int HashSize = 32;

    private const int ChunkSize = 64; // bytes
    private const int Words = 16;
    private const int Rounds = 64;

    private static readonly uint[] Start = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19];

    private static readonly uint[] RoundConstants =
    [
        0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5, 0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
        0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA, 0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
        0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85, 0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
        0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3, 0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
    ];

    // The bytes of each 32-bit word, highest first in the message.
    private static readonly Vector512<byte> SwapBytes = Vector512.Create(
        0x04050607_00010203u, 0x0C0D0E0F_08090A0Bu, 0x04050607_00010203u, 0x0C0D0E0F_08090A0Bu,
        0x04050607_00010203u, 0x0C0D0E0F_08090A0Bu, 0x04050607_00010203u, 0x0C0D0E0F_08090A0Bu).AsByte();

    private readonly Vector512<uint>[] _state = new Vector512<uint>[8];

    /// <summary>Sixteen empty messages.</summary>
    public Sha256Lanes() => Reset();

    /// <summary>The processor has what this takes.</summary>
    public static bool IsSupported => Avx512BW.IsSupported && Vector512.IsHardwareAccelerated;

    /// <summary>Begins sixteen new messages.</summary>
    public void Reset()
    {
        for (var i = 0; i < _state.Length; i++)
        {
            _state[i] = Vector512.Create(Start[i]);
        }
    }

    /// <summary>Goes on with all messages.</summary>
    /// <param name="bytes">Message i goes on with the bytes at i times <paramref name="stride"/>.</param>
    /// <param name="stride">Bytes from one message's to the next one's.</param>
    /// <param name="length">Bytes of each message; a multiple of 64.</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // hot from the first call on: no slow tier before the fast one
    public void Append(ReadOnlySpan<byte> bytes, int stride, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % ChunkSize, 0, nameof(length));
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes.Length, ((Count - 1) * stride) + length, nameof(bytes));
        Span<Vector512<uint>> words = stackalloc Vector512<uint>[Words];
        var swapBytes = SwapBytes;
        for (var offset = 0; offset < length; offset += ChunkSize)
        {
            for (var lane = 0; lane < Count; lane++)
            {
                words[lane] = Avx512BW.Shuffle(Vector512.Create(bytes.Slice((lane * stride) + offset, ChunkSize)), swapBytes).AsUInt32();
            }

            Transpose(words);
            Compress(words);
        }
    }

    /// <summary>Ends all messages by one last byte each.</summary>
    /// <param name="last">A byte for each message.</param>
    /// <param name="length">Bytes of each message, the last one included; one more than a multiple of 64.</param>
    /// <param name="hashes">Where the hashes go, <see cref="HashSize"/> bytes each.</param>
    public void Finish(ReadOnlySpan<byte> last, long length, Span<byte> hashes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % ChunkSize, 1, nameof(length));
        Span<Vector512<uint>> words = stackalloc Vector512<uint>[Words];
        words.Clear();
        Span<uint> first = stackalloc uint[Count];
        for (var lane = 0; lane < Count; lane++)
        {
            first[lane] = ((uint)last[lane] << 24) | 0x0080_0000; // the byte, and the one bit that ends a message
        }

        words[0] = Vector512.Create<uint>(first);
        words[14] = Vector512.Create((uint)((ulong)length * 8 >> 32));
        words[15] = Vector512.Create((uint)((ulong)length * 8));
        Compress(words);
        for (var word = 0; word < _state.Length; word++)
        {
            for (var lane = 0; lane < Count; lane++)
            {
                BinaryPrimitives.WriteUInt32BigEndian(hashes[((lane * HashSize) + (word * sizeof(uint)))..], _state[word][lane]);
            }
        }
    }

    /// <summary>Sixteen rows of sixteen words become columns: word i of every message in vector i.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(Span<Vector512<uint>> rows)
    {
        Span<Vector512<uint>> half = stackalloc Vector512<uint>[Words];
        for (var i = 0; i < Words; i += 4)
        {
            var low = Avx512F.UnpackLow(rows[i], rows[i + 1]).AsUInt64();
            var high = Avx512F.UnpackHigh(rows[i], rows[i + 1]).AsUInt64();
            var nextLow = Avx512F.UnpackLow(rows[i + 2], rows[i + 3]).AsUInt64();
            var nextHigh = Avx512F.UnpackHigh(rows[i + 2], rows[i + 3]).AsUInt64();
            half[i] = Avx512F.UnpackLow(low, nextLow).AsUInt32(); // words 0, 4, 8 and 12 of four rows
            half[i + 1] = Avx512F.UnpackHigh(low, nextLow).AsUInt32();
            half[i + 2] = Avx512F.UnpackLow(high, nextHigh).AsUInt32();
            half[i + 3] = Avx512F.UnpackHigh(high, nextHigh).AsUInt32();
        }

        for (var i = 0; i < 4; i++)
        {
            var a = Avx512F.Shuffle4x128(half[i], half[i + 4], 0x88); // quarters 0 and 2 of rows 0 to 7
            var b = Avx512F.Shuffle4x128(half[i], half[i + 4], 0xDD);
            var c = Avx512F.Shuffle4x128(half[i + 8], half[i + 12], 0x88);
            var d = Avx512F.Shuffle4x128(half[i + 8], half[i + 12], 0xDD);
            rows[i] = Avx512F.Shuffle4x128(a, c, 0x88);
            rows[i + 4] = Avx512F.Shuffle4x128(b, d, 0x88);
            rows[i + 8] = Avx512F.Shuffle4x128(a, c, 0xDD);
            rows[i + 12] = Avx512F.Shuffle4x128(b, d, 0xDD);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Compress(Span<Vector512<uint>> words)
    {
        var (a, b, c, d) = (_state[0], _state[1], _state[2], _state[3]);
        var (e, f, g, h) = (_state[4], _state[5], _state[6], _state[7]);
        ref var w = ref MemoryMarshal.GetReference(words);
        ref var k = ref MemoryMarshal.GetArrayDataReference(RoundConstants);
        for (var i = 0; i < Rounds; i += 8)
        {
            if (i >= Words)
            {
                for (var j = i; j < i + 8; j++)
                {
                    ref var word = ref Unsafe.Add(ref w, j & 15);
                    word += LowSigma0(Unsafe.Add(ref w, (j + 1) & 15)) + Unsafe.Add(ref w, (j + 9) & 15) + LowSigma1(Unsafe.Add(ref w, (j + 14) & 15));
                }
            }

            ref var eight = ref Unsafe.Add(ref w, i & 15);
            ref var constants = ref Unsafe.Add(ref k, i);
            h = First(e, f, g, h, eight, constants);
            d += h;
            h += Second(a, b, c);
            g = First(d, e, f, g, Unsafe.Add(ref eight, 1), Unsafe.Add(ref constants, 1));
            c += g;
            g += Second(h, a, b);
            f = First(c, d, e, f, Unsafe.Add(ref eight, 2), Unsafe.Add(ref constants, 2));
            b += f;
            f += Second(g, h, a);
            e = First(b, c, d, e, Unsafe.Add(ref eight, 3), Unsafe.Add(ref constants, 3));
            a += e;
            e += Second(f, g, h);
            d = First(a, b, c, d, Unsafe.Add(ref eight, 4), Unsafe.Add(ref constants, 4));
            h += d;
            d += Second(e, f, g);
            c = First(h, a, b, c, Unsafe.Add(ref eight, 5), Unsafe.Add(ref constants, 5));
            g += c;
            c += Second(d, e, f);
            b = First(g, h, a, b, Unsafe.Add(ref eight, 6), Unsafe.Add(ref constants, 6));
            f += b;
            b += Second(c, d, e);
            a = First(f, g, h, a, Unsafe.Add(ref eight, 7), Unsafe.Add(ref constants, 7));
            e += a;
            a += Second(b, c, d);
        }

        _state[0] += a;
        _state[1] += b;
        _state[2] += c;
        _state[3] += d;
        _state[4] += e;
        _state[5] += f;
        _state[6] += g;
        _state[7] += h;
    }

    /// <summary>T1 of the standard, section 6.2.2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> First(Vector512<uint> e, Vector512<uint> f, Vector512<uint> g, Vector512<uint> h, Vector512<uint> word, uint constant)
    {
        var sigma = Xor(Avx512F.RotateRight(e, 6), Avx512F.RotateRight(e, 11), Avx512F.RotateRight(e, 25));
        var choice = Avx512F.TernaryLogic(e, f, g, 0xCA); // e ? f : g
        return h + sigma + choice + (word + Vector512.Create(constant));
    }

    /// <summary>T2 of the standard.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Second(Vector512<uint> a, Vector512<uint> b, Vector512<uint> c)
    {
        var sigma = Xor(Avx512F.RotateRight(a, 2), Avx512F.RotateRight(a, 13), Avx512F.RotateRight(a, 22));
        return sigma + Avx512F.TernaryLogic(a, b, c, 0xE8); // what two of the three have
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> LowSigma0(Vector512<uint> x) => Xor(Avx512F.RotateRight(x, 7), Avx512F.RotateRight(x, 18), x >>> 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> LowSigma1(Vector512<uint> x) => Xor(Avx512F.RotateRight(x, 17), Avx512F.RotateRight(x, 19), x >>> 10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Xor(Vector512<uint> x, Vector512<uint> y, Vector512<uint> z) => Avx512F.TernaryLogic(x, y, z, 0x96);
}
