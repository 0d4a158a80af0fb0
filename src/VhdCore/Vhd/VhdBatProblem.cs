namespace VhdCore.Vhd;

/// <summary>What is wrong with an entry of the block allocation table.</summary>
internal enum VhdBatProblemKind
{
    /// <summary>The block's bitmap does not lie inside the file's data, or none of its data does.</summary>
    BeyondEnd,

    /// <summary>The block lies over the footer's copy, the dynamic header or the table itself.</summary>
    InMetadata,

    /// <summary>Two blocks share bytes of the file.</summary>
    Overlap,

    /// <summary>The file's data ends inside the block: what is missing reads as zeros. Old programs left the last block so.</summary>
    CutShort,

    /// <summary>The block lies over a parent locator's data or the batmap, which reading the disk's content does not need.</summary>
    InAuxiliary,
}

/// <summary>One wrong entry.</summary>
/// <param name="Kind">What is wrong.</param>
/// <param name="BlockIndex">The entry.</param>
/// <param name="OtherIndex">The other entry of an overlap; otherwise -1.</param>
/// <param name="BlockOffset">Bytes from the file's start to where the entry says that the block begins.</param>
internal readonly record struct VhdBatProblem(VhdBatProblemKind Kind, int BlockIndex, int OtherIndex, long BlockOffset)
{
    /// <summary>Content is in doubt: the image is not opened.</summary>
    public bool IsFatal => Kind is VhdBatProblemKind.BeyondEnd or VhdBatProblemKind.InMetadata or VhdBatProblemKind.Overlap;

    /// <summary>The entry's place in the file, in bytes.</summary>
    public long EntryOffset(VhdMetadata metadata) => (long)metadata.Header!.TableOffset + ((long)BlockIndex * VhdLayout.BatEntrySize);

    /// <summary>A sentence for people.</summary>
    public string Describe(VhdMetadata metadata, long fileLength) => Kind switch
    {
        VhdBatProblemKind.BeyondEnd => $"Block {BlockIndex} should lie at byte {BlockOffset}, behind the file's data, which ends at byte {metadata.DataEnd(fileLength)}: the file was cut short, or the entry is damaged.",
        VhdBatProblemKind.InMetadata => $"Block {BlockIndex} should lie at byte {BlockOffset}, over the footer's copy, the dynamic header or the table: the entry is damaged.",
        VhdBatProblemKind.Overlap => $"Block {BlockIndex} at byte {BlockOffset} and block {OtherIndex} share bytes of the file: at least one of the entries is damaged.",
        VhdBatProblemKind.CutShort => $"Block {BlockIndex} at byte {BlockOffset} is cut short by the end of the file's data at byte {metadata.DataEnd(fileLength)}; what is missing reads as zeros.",
        _ => $"Block {BlockIndex} at byte {BlockOffset} lies over the batmap or a parent locator's data: one of them is damaged.",
    };
}

/// <summary>All wrong entries, up to a bound for each kind.</summary>
internal sealed class VhdBatProblems
{
    /// <summary>Problems listed of each kind; more are only counted.</summary>
    public const int MaxPerKind = 1000;

    private readonly long[] _counts = new long[Enum.GetValues<VhdBatProblemKind>().Length];
    private readonly List<VhdBatProblem> _problems = [];

    /// <summary>The first ones of each kind.</summary>
    public IReadOnlyList<VhdBatProblem> Listed => _problems;

    /// <summary>Problems of a kind, listed or not.</summary>
    public long Count(VhdBatProblemKind kind) => _counts[(int)kind];

    internal void Add(VhdBatProblem problem)
    {
        if (_counts[(int)problem.Kind]++ < MaxPerKind)
        {
            _problems.Add(problem);
        }
    }
}
