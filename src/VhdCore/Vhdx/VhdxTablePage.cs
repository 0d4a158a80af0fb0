using System.Buffers.Binary;
using System.Numerics;

namespace VhdCore.Vhdx;

/// <summary>4 KiB of the BAT or of a sector bitmap block, in memory: the unit that the log updates the file in.</summary>
/// <remarks>Words are read without a lock.</remarks>
internal sealed class VhdxTablePage
{
    /// <summary>Bytes.</summary>
    public const int Size = VhdxLayout.LogSectorSize;

    /// <summary>Entries of the BAT in a page.</summary>
    public const int EntryCount = Size / VhdxLayout.BatEntrySize;

    /// <summary>Sectors of the disk that a page of a sector bitmap describes.</summary>
    public const int BitCount = Size * 8;

    /// <summary>Bytes of memory that a page takes, roughly.</summary>
    public const int MemorySize = Size + 64;

    private const int BitsPerWord = 64;

    private readonly ulong[] _words; // bit 0 of word 0 is the first sector

    private volatile bool _isPinned;

    private VhdxTablePage(ulong[] words, long fileOffset)
    {
        _words = words;
        FileOffset = fileOffset;
    }

    /// <summary>Bytes from the file's start to the page's place.</summary>
    public long FileOffset { get; }

    /// <summary>Changed since it was last written into its place: it stays in memory.</summary>
    public bool IsPinned
    {
        get => _isPinned;
        set => _isPinned = value;
    }

    /// <summary>Every entry was found possible. Where this is false each has to be looked at when it is used.</summary>
    public bool IsSound { get; set; }

    /// <summary>Of a sector bitmap, not of the BAT.</summary>
    public bool IsBitmap { get; init; }

    /// <summary>Used since eviction last came by.</summary>
    public bool WasUsed { get; set; }

    /// <summary>A page of a sector bitmap without a bit.</summary>
    public static VhdxTablePage CreateEmptyBitmap(long fileOffset) => new(new ulong[EntryCount], fileOffset) { IsBitmap = true };

    /// <summary>Reads a page as it stands in the file; what is missing of it is zero.</summary>
    public static VhdxTablePage Parse(ReadOnlySpan<byte> bytes, long fileOffset, bool isBitmap)
    {
        var words = new ulong[EntryCount];
        for (var i = 0; i < bytes.Length / sizeof(ulong); i++)
        {
            words[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(i * sizeof(ulong))..]);
        }

        return new VhdxTablePage(words, fileOffset) { IsBitmap = isBitmap };
    }

    /// <summary>An entry of the BAT.</summary>
    public VhdxBatEntry Entry(int index) => new(Volatile.Read(ref _words[index]));

    /// <summary>How many sectors from <paramref name="sector"/> on share its answer, at most <paramref name="limit"/>; all within the page.</summary>
    public int RunLength(int sector, int limit, out bool isPresent)
    {
        var bit = sector % BitsPerWord;
        var word = Volatile.Read(ref _words[sector / BitsPerWord]) >> bit;
        isPresent = (word & 1) != 0;
        var run = Math.Min(SameBits(word, isPresent), BitsPerWord - bit);
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

    /// <summary>Whether all of <paramref name="count"/> sectors are present.</summary>
    public bool AreSet(int sector, int count) => RunLength(sector, count, out var isPresent) == count && isPresent;

    /// <summary>Sets an entry of the BAT. Under the table's lock.</summary>
    public void SetEntry(int index, VhdxBatEntry entry) => Volatile.Write(ref _words[index], entry.Raw);

    /// <summary>Marks sectors present. Under the table's lock.</summary>
    public void Set(int sector, int count) => ForEachWord(sector, count, static (ref ulong word, ulong mask) => Interlocked.Or(ref word, mask));

    /// <summary>Marks sectors missing. Under the table's lock.</summary>
    public void Clear(int sector, int count) => ForEachWord(sector, count, static (ref ulong word, ulong mask) => Interlocked.And(ref word, ~mask));

    /// <summary>The page as it stands in the file. Under the table's lock.</summary>
    public byte[] ToBytes()
    {
        var bytes = new byte[Size];
        for (var i = 0; i < _words.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * sizeof(ulong)), _words[i]);
        }

        return bytes;
    }

    private delegate void WordAction(ref ulong word, ulong mask);

    private void ForEachWord(int sector, int count, WordAction action)
    {
        for (var end = sector + count; sector < end;)
        {
            var bit = sector % BitsPerWord;
            var run = Math.Min(BitsPerWord - bit, end - sector);
            action(ref _words[sector / BitsPerWord], (run == BitsPerWord ? ulong.MaxValue : (1UL << run) - 1) << bit);
            sector += run;
        }
    }

    private static int SameBits(ulong word, bool ones) => BitOperations.TrailingZeroCount(ones ? ~word : word);
}
