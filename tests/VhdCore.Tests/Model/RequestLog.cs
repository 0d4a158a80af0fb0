namespace VhdCore.Tests.Model;

/// <summary>
/// What several threads asked of a disk within one round, with the order that is known: which request had ended before which other began. Judges afterwards
/// whether every byte that was read could be there.
/// </summary>
/// <param name="before">What the disk held when the round began.</param>
/// <param name="readsMayTear">A read may see parts of a write that is under way, inside a sector too: a kernel copies out of its page cache while it copies into it.</param>
internal sealed class RequestLog(byte[] before, bool readsMayTear = false)
{
    public const int SectorSize = 512; // bytes

    private readonly Lock _gate = new();
    private readonly List<Change> _changes = [];
    private readonly List<Read> _reads = [];
    private long _clock;

    /// <summary>A write begins; null content is zeros.</summary>
    public Change BeginChange(int offset, int length, byte[]? content, bool isHint = false)
    {
        lock (_gate)
        {
            var change = new Change(offset, length, content, isHint, ++_clock);
            _changes.Add(change);
            return change;
        }
    }

    public void End(Change change)
    {
        lock (_gate)
        {
            change.End = ++_clock;
        }
    }

    public long Now()
    {
        lock (_gate)
        {
            return ++_clock;
        }
    }

    public void AddRead(int offset, byte[] content, long begin)
    {
        lock (_gate)
        {
            _reads.Add(new Read(offset, content, begin, ++_clock));
        }
    }

    /// <summary>Judges every read of the round.</summary>
    /// <returns>What is wrong with the first that cannot be; null when all can.</returns>
    public string? Judge()
    {
        foreach (var read in _reads)
        {
            var firstSector = read.Offset / SectorSize;
            var lastSector = (read.Offset + read.Content.Length - 1) / SectorSize;
            for (var sector = firstSector; sector <= lastSector; sector++)
            {
                if (JudgeSector(read, sector) is { } complaint)
                {
                    return complaint;
                }
            }
        }

        return null;
    }

    private string? JudgeSector(Read read, int sector)
    {
        var start = Math.Max(read.Offset, sector * SectorSize);
        var end = Math.Min(read.Offset + read.Content.Length, (sector + 1) * SectorSize);
        var seen = read.Content.AsSpan(start - read.Offset, end - start);
        var touching = _changes.FindAll(change => change.Begin < read.End && change.Offset < end && change.Offset + change.Length > start);
        for (var at = start; at < end; at++)
        {
            if (!IsPossible(read, touching, at))
            {
                return $"byte {at} reads {seen[at - start]}, which nobody can have written there: it was {before[at]}, then {string.Join(", ", touching.Where(change => change.Covers(at)).Select(change => change.Describe(at)))}; read [{read.Begin}-{read.End}]";
            }
        }

        var isSettled = !readsMayTear || touching.TrueForAll(change => change.End < read.Begin);
        return isSettled && touching.TrueForAll(change => change.CoversSector(sector) && !change.IsHint) ? JudgeWhole(read, touching, seen, start) : null;
    }

    /// <summary>Where every write was of the whole sector, one of them must be seen as a whole.</summary>
    private string? JudgeWhole(Read read, List<Change> touching, ReadOnlySpan<byte> seen, int start)
    {
        if (seen.SequenceEqual(before.AsSpan(start, seen.Length)))
        {
            return null;
        }

        foreach (var change in touching)
        {
            if (change.Content is null ? !seen.ContainsAnyExcept((byte)0) : seen.SequenceEqual(change.Content.AsSpan(start - change.Offset, seen.Length)))
            {
                return null;
            }
        }

        return $"the sector at {start / SectorSize * SectorSize} mixes writes of the whole sector; read [{read.Begin}-{read.End}]";
    }

    private bool IsPossible(Read read, List<Change> touching, int at)
    {
        var value = read.Content[at - read.Offset];
        foreach (var change in touching)
        {
            if (change.Covers(at) && change.ValueAt(at) == value && !IsSuperseded(change.End, read, touching, at))
            {
                return true;
            }
        }

        return value == before[at] && !IsSuperseded(0, read, touching, at);
    }

    /// <summary>Whether a later change was there for sure before the read began.</summary>
    private static bool IsSuperseded(long end, Read read, List<Change> touching, int at)
    {
        foreach (var later in touching)
        {
            if (!later.IsHint && later.Begin > end && later.End < read.Begin && later.Covers(at))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A write, a zeroing, or a trim, which is a hint.</summary>
    internal sealed class Change(int offset, int length, byte[]? content, bool isHint, long begin)
    {
        public int Offset => offset;

        public int Length => length;

        public byte[]? Content => content;

        public bool IsHint => isHint;

        public long Begin => begin;

        public long End { get; set; } = long.MaxValue;

        public bool Covers(int at) => at >= offset && at < offset + length;

        public bool CoversSector(int sector) => offset <= sector * SectorSize && offset + length >= (sector + 1) * SectorSize;

        public byte ValueAt(int at) => content is null ? (byte)0 : content[at - offset];

        public string Describe(int at) => $"{ValueAt(at)}{(isHint ? "?" : "")} [{begin}-{End}]";
    }

    private sealed record Read(int Offset, byte[] Content, long Begin, long End);
}
