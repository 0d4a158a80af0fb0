using System.Buffers.Binary;
using System.Numerics;

namespace VhdCore.Vhd;

/// <summary>
/// A block's sector bitmap: bit s, counted from the highest bit of byte 0, says that sector s of the block holds its own content
/// ("Data Blocks"; the bit order is the one that Windows writes).
/// </summary>
/// <remarks>Bits are read without a lock and set under the table's; they are never cleared while the block keeps its place.</remarks>
internal sealed class VhdSectorBitmap
{
    /// <summary>Every bit is set. Shared by all such blocks.</summary>
    public static readonly VhdSectorBitmap Full = new([], sectorCount: 0) { _isFull = true };

    private const int BitsPerWord = 64;

    private readonly ulong[] _words; // sector 0 is the highest bit of word 0
    private readonly int _sectorCount;
    private volatile bool _isFull;

    private VhdSectorBitmap(ulong[] words, int sectorCount)
    {
        _words = words;
        _sectorCount = sectorCount;
    }

    /// <summary>Every sector is present.</summary>
    public bool IsFull => _isFull;

    /// <summary>Bytes of memory this takes, roughly.</summary>
    public int MemorySize => (_words.Length * sizeof(ulong)) + 64;

    /// <summary>Changed since it was last committed; kept in memory until it is. Guarded by the table's lock.</summary>
    public bool IsPinned { get; set; }

    /// <summary>A bitmap with no bit set.</summary>
    public static VhdSectorBitmap CreateEmpty(int sectorCount) => new(new ulong[WordCount(sectorCount)], sectorCount);

    /// <summary>Reads the bitmap of a block of <paramref name="sectorCount"/> sectors, whole sectors of the file; <see cref="Full"/> when every bit is set.</summary>
    public static VhdSectorBitmap Parse(ReadOnlySpan<byte> bytes, int sectorCount)
    {
        var words = new ulong[WordCount(sectorCount)];
        for (var i = 0; i < words.Length; i++)
        {
            words[i] = BinaryPrimitives.ReadUInt64BigEndian(bytes[(i * sizeof(ulong))..]);
        }

        var bitmap = new VhdSectorBitmap(words, sectorCount);
        return bitmap.HasAll(0, sectorCount) ? Full : bitmap;
    }

    /// <summary>How many sectors from <paramref name="sector"/> on share its answer, at most <paramref name="limit"/>.</summary>
    public int RunLength(int sector, int limit, out bool isPresent)
    {
        if (_isFull)
        {
            isPresent = true;
            return limit;
        }

        var word = Volatile.Read(ref _words[sector / BitsPerWord]);
        var bit = sector % BitsPerWord;
        isPresent = ((word << bit) & (1UL << 63)) != 0;
        var run = Math.Min(SameBits(word << bit, isPresent), BitsPerWord - bit);
        while (run < limit && (sector + run) % BitsPerWord == 0)
        {
            var more = SameBits(Volatile.Read(ref _words[(sector + run) / BitsPerWord]), isPresent);
            run += more;
            if (more < BitsPerWord)
            {
                break;
            }
        }

        return Math.Min(run, limit);
    }

    /// <summary>Whether every one of <paramref name="count"/> sectors is present.</summary>
    public bool HasAll(int sector, int count) => RunLength(sector, count, out var isPresent) == count && isPresent;

    /// <summary>Marks sectors present. Under the table's lock.</summary>
    public void Set(int sector, int count)
    {
        for (var end = sector + count; sector < end;)
        {
            var bit = sector % BitsPerWord;
            var run = Math.Min(BitsPerWord - bit, end - sector);
            var mask = (run == BitsPerWord ? ulong.MaxValue : (1UL << run) - 1) << (BitsPerWord - bit - run);
            Interlocked.Or(ref _words[sector / BitsPerWord], mask);
            sector += run;
        }

        if (HasAll(0, _sectorCount))
        {
            _isFull = true;
        }
    }

    /// <summary>Writes the bitmap as it stands in the file into <paramref name="bytes"/>, whole sectors; bits behind the last sector are zero.</summary>
    public void WriteTo(Span<byte> bytes)
    {
        bytes.Clear();
        for (var i = 0; i < _words.Length; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes[(i * sizeof(ulong))..], Volatile.Read(ref _words[i]));
        }
    }

    private static int WordCount(int sectorCount) => (sectorCount + BitsPerWord - 1) / BitsPerWord;

    private static int SameBits(ulong word, bool ones) => BitOperations.LeadingZeroCount(ones ? ~word : word);
}
