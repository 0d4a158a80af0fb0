using System.Numerics;

namespace VhdCore.Vhdx;

/// <summary>Which MiB of a file are in use, a bit each: everything in a VHDX lies on that grid ([MS-VHDX] §2.1). Takes memory for what was marked only.</summary>
internal sealed class VhdxSpaceMap
{
    private const int Unit = VhdxLayout.StructureAlignment; // bytes
    private const int BitsPerWord = 64;
    private const int WordsPerPart = 8192; // 64 KiB of memory for 512 GiB of file

    private readonly List<ulong[]?> _parts = [];

    /// <summary>Bytes from the file's start to behind the last MiB in use.</summary>
    public long End
    {
        get
        {
            for (var i = _parts.Count - 1; i >= 0; i--)
            {
                if (_parts[i] is { } part && part.AsSpan().LastIndexOfAnyExcept(0UL) is >= 0 and var word)
                {
                    var bit = BitsPerWord - BitOperations.LeadingZeroCount(part[word]);
                    return ((((long)i * WordsPerPart) + word) * BitsPerWord + bit) * Unit;
                }
            }

            return 0;
        }
    }

    /// <summary>The first range in use, or free, from a place on.</summary>
    /// <param name="from">Bytes.</param>
    /// <param name="limit">Bytes: where to end the search.</param>
    /// <param name="isFree">Which is looked for.</param>
    /// <param name="start">Where it begins, at most <paramref name="limit"/>.</param>
    /// <returns>Bytes in it, up to <paramref name="limit"/>; 0 for none.</returns>
    public long Find(long from, long limit, bool isFree, out long start)
    {
        var last = UnitsOf(limit);
        var first = Next(from / Unit, last, isFree);
        start = first * Unit;
        return (Next(first, last, !isFree) - first) * Unit;
    }

    /// <summary>Marks a range that is free as in use.</summary>
    /// <param name="start">Bytes; on the MiB grid.</param>
    /// <param name="length">Bytes; rounded up to it.</param>
    /// <returns>False if part of it is in use already; nothing is marked then.</returns>
    public bool TryMark(long start, long length)
    {
        if (!IsFree(start / Unit, UnitsOf(length)))
        {
            return false;
        }

        Mark(start, length);
        return true;
    }

    /// <summary>Marks a range as in use, whatever it was.</summary>
    public void Mark(long start, long length)
    {
        for (var (unit, end) = (start / Unit, (start / Unit) + UnitsOf(length)); unit < end;)
        {
            var mask = MaskAt(unit, end, out var run);
            Word(unit) |= mask;
            unit += run;
        }
    }

    /// <summary>Marks a range as free.</summary>
    public void Clear(long start, long length)
    {
        for (var (unit, end) = (start / Unit, (start / Unit) + UnitsOf(length)); unit < end;)
        {
            var mask = MaskAt(unit, end, out var run);
            Word(unit) &= ~mask;
            unit += run;
        }
    }

    /// <summary>Finds the first free range of a length from <paramref name="cursor"/> on, and marks it.</summary>
    /// <param name="cursor">Where to look first, in bytes; moved behind what was found, or to <paramref name="limit"/>.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="limit">Bytes; the range ends before this or there.</param>
    /// <param name="start">Where it begins.</param>
    public bool TryTake(ref long cursor, long length, long limit, out long start)
    {
        var wanted = UnitsOf(length);
        var last = limit / Unit;
        long free = 0;
        for (var unit = cursor / Unit; unit < last;)
        {
            var word = Peek(unit);
            if (unit % BitsPerWord == 0 && (word is 0 or ulong.MaxValue) && wanted - free > BitsPerWord)
            {
                free = word == 0 ? free + BitsPerWord : 0;
                unit += BitsPerWord;
                continue;
            }

            free = (word >> (int)(unit % BitsPerWord) & 1) == 0 ? free + 1 : 0;
            unit++;
            if (free == wanted)
            {
                start = (unit - wanted) * Unit;
                cursor = unit * Unit;
                Mark(start, length);
                return true;
            }
        }

        cursor = Math.Max(cursor, limit);
        start = 0;
        return false;
    }

    private long Next(long unit, long last, bool isFree)
    {
        while (unit < last)
        {
            var word = (isFree ? ~Peek(unit) : Peek(unit)) >> (int)(unit % BitsPerWord);
            if (word != 0)
            {
                return Math.Min(unit + BitOperations.TrailingZeroCount(word), last);
            }

            unit += BitsPerWord - (unit % BitsPerWord);
        }

        return last;
    }

    private static long UnitsOf(long length) => ((length - 1) / Unit) + 1;

    /// <summary>The bits of a word from a unit on, as far as a range reaches.</summary>
    private static ulong MaskAt(long unit, long end, out long run)
    {
        var bit = (int)(unit % BitsPerWord);
        run = Math.Min(BitsPerWord - bit, end - unit);
        return (run == BitsPerWord ? ulong.MaxValue : (1UL << (int)run) - 1) << bit;
    }

    private bool IsFree(long unit, long count)
    {
        for (var end = unit + count; unit < end;)
        {
            var mask = MaskAt(unit, end, out var run);
            if ((Peek(unit) & mask) != 0)
            {
                return false;
            }

            unit += run;
        }

        return true;
    }

    private ulong Peek(long unit)
    {
        var word = unit / BitsPerWord;
        var part = (int)(word / WordsPerPart);
        return part < _parts.Count && _parts[part] is { } words ? words[word % WordsPerPart] : 0;
    }

    private ref ulong Word(long unit)
    {
        var word = unit / BitsPerWord;
        var part = (int)(word / WordsPerPart);
        while (_parts.Count <= part)
        {
            _parts.Add(null);
        }

        return ref (_parts[part] ??= new ulong[WordsPerPart])[word % WordsPerPart];
    }
}
