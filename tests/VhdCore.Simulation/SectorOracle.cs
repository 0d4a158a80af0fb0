namespace VhdCore.Simulation;

/// <summary>
/// What each sector of a disk may hold: now, and after a cut of the power. A value is out of the question once a later write, begun after the value's
/// own had ended, is known to be there.
/// </summary>
internal sealed class SectorOracle
{
    public const int SectorSize = 512; // bytes

    private static readonly byte[] Zeros = new byte[SectorSize];

    private readonly List<Value>[] _sectors; // what a cut may leave
    private readonly List<Watch> _watches = [];
    private long _clock;

    public SectorOracle(ReadOnlySpan<byte> content)
    {
        _sectors = new List<Value>[content.Length / SectorSize];
        for (var sector = 0; sector < _sectors.Length; sector++)
        {
            _sectors[sector] = [new Value(content.Slice(sector * SectorSize, SectorSize).ToArray(), 0) { End = 0 }];
        }
    }

    public int SectorCount => _sectors.Length;

    /// <summary>A write begins. Parts of sectors are completed by what the sectors hold: nobody else may be writing those.</summary>
    public Operation BeginWrite(long offset, ReadOnlySpan<byte> content)
    {
        var first = (int)(offset / SectorSize);
        var last = (int)((offset + content.Length - 1) / SectorSize);
        var operation = new Operation(first, last - first + 1, ++_clock);
        for (var sector = first; sector <= last; sector++)
        {
            var start = (long)sector * SectorSize;
            var from = Math.Max(start, offset);
            var count = (int)(Math.Min(start + SectorSize, offset + content.Length) - from);
            var bytes = (byte[])_sectors[sector][^1].Bytes.Clone();
            content.Slice((int)(from - offset), count).CopyTo(bytes.AsSpan((int)(from - start)));
            Add(operation, sector, bytes);
        }

        return operation;
    }

    /// <summary>Zeroing begins; <paramref name="isHint"/> for a trim, which may leave the content as it is.</summary>
    public Operation BeginZero(int firstSector, int count, bool isHint)
    {
        var operation = new Operation(firstSector, count, ++_clock);
        for (var sector = firstSector; sector < firstSector + count; sector++)
        {
            Add(operation, sector, Zeros, isHint);
        }

        return operation;
    }

    public void End(Operation operation)
    {
        operation.End = ++_clock;
        foreach (var (_, value) in operation.Values)
        {
            value.End = operation.End;
        }
    }

    /// <summary>A hint has ended, and this is what its sectors hold now: it was taken for each of them, or not at all.</summary>
    /// <param name="hint">The trim.</param>
    /// <param name="content">What its sectors hold.</param>
    /// <param name="mayHaveBeenOverwritten">A write was under way together with it: content other than zeros proves nothing.</param>
    public void Settle(Operation hint, ReadOnlySpan<byte> content, bool mayHaveBeenOverwritten = false)
    {
        foreach (var (sector, value) in hint.Values)
        {
            if (IsZero(content.Slice((sector - hint.FirstSector) * SectorSize, SectorSize)))
            {
                value.IsHint = false;
            }
            else if (!mayHaveBeenOverwritten)
            {
                _sectors[sector].Remove(value);
            }
        }
    }

    /// <summary>Several were writing a sector; this is what it holds now that they have ended, and what a write of a part of it will keep.</summary>
    public void Observe(int firstSector, ReadOnlySpan<byte> content)
    {
        for (var i = 0; i < content.Length / SectorSize; i++)
        {
            var values = _sectors[firstSector + i];
            for (var j = values.Count - 1; j >= 0; j--)
            {
                if (content.Slice(i * SectorSize, SectorSize).SequenceEqual(values[j].Bytes))
                {
                    values.Add(values[j]);
                    values.RemoveAt(j);
                    break;
                }
            }
        }
    }

    /// <summary>A read begins that others may write under.</summary>
    public Watch BeginRead(int firstSector, int count)
    {
        var watch = new Watch(firstSector, [.. Enumerable.Range(firstSector, count).Select(sector => _sectors[sector].Select(value => value.Bytes).ToList())]);
        _watches.Add(watch);
        return watch;
    }

    /// <summary>The read has ended; its watch knows all that it may have seen.</summary>
    public void EndRead(Watch watch) => _watches.Remove(watch);

    public long Now() => ++_clock;

    /// <summary>A flush that began at <paramref name="begin"/> has ended.</summary>
    public void Flushed(long begin)
    {
        foreach (var values in _sectors)
        {
            if (values.Count > 1)
            {
                Prune(values, begin);
            }
        }
    }

    /// <summary>A write is durable: what was there before it began cannot come back.</summary>
    public void MadeDurable(Operation operation)
    {
        foreach (var (sector, _) in operation.Values)
        {
            _sectors[sector].RemoveAll(value => value.End < operation.Begin);
        }
    }

    /// <summary>Whether a cut may leave this in a sector.</summary>
    public bool IsAdmissible(int sector, ReadOnlySpan<byte> bytes)
    {
        foreach (var value in _sectors[sector])
        {
            if (bytes.SequenceEqual(value.Bytes))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a reader may see this in a sector now.</summary>
    public bool IsVisible(int sector, ReadOnlySpan<byte> bytes)
    {
        var values = _sectors[sector];
        foreach (var value in values)
        {
            if (bytes.SequenceEqual(value.Bytes) &&
                !values.Exists(later => !later.IsHint && later.End < long.MaxValue && value.End < later.Begin))
            {
                return true;
            }
        }

        return false;
    }

    public string Describe(int sector) => string.Join(", ", _sectors[sector].Select(value => $"{Pattern.Describe(value.Bytes)} [{value.Begin}-{(value.End == long.MaxValue ? "" : value.End)}]"));

    private static bool IsZero(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0);

    private static void Prune(List<Value> values, long begin)
    {
        long latest = -1; // when the latest of those began that the flush covers
        foreach (var value in values)
        {
            if (value.End < begin && !value.IsHint)
            {
                latest = Math.Max(latest, value.Begin);
            }
        }

        values.RemoveAll(value => value.End < latest);
    }

    private void Add(Operation operation, int sector, byte[] bytes, bool isHint = false)
    {
        var value = new Value(bytes, operation.Begin) { IsHint = isHint };
        operation.Values.Add((sector, value));
        _sectors[sector].Add(value);
        foreach (var watch in _watches)
        {
            watch.Add(sector, bytes);
        }
    }

    /// <summary>One write, zero or trim.</summary>
    internal sealed class Operation(int firstSector, int sectorCount, long begin)
    {
        public int FirstSector => firstSector;

        public int SectorCount => sectorCount;

        public long Begin => begin;

        public long End { get; set; } = long.MaxValue;

        public List<(int Sector, Value Value)> Values { get; } = [];
    }

    /// <summary>What a read may see: all that its sectors may hold at its beginning, and all that is written to them until its end.</summary>
    internal sealed class Watch(int firstSector, List<byte[]>[] values)
    {
        public void Add(int sector, byte[] bytes)
        {
            if (sector >= firstSector && sector < firstSector + values.Length)
            {
                values[sector - firstSector].Add(bytes);
            }
        }

        public bool IsVisible(int sector, ReadOnlySpan<byte> bytes)
        {
            foreach (var value in values[sector - firstSector])
            {
                if (bytes.SequenceEqual(value))
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>What one sector held, holds, or may hold.</summary>
    internal sealed class Value(byte[] bytes, long begin)
    {
        public byte[] Bytes => bytes;

        public long Begin => begin;

        public long End { get; set; } = long.MaxValue;

        /// <summary>It may never have been there: a trim's zeros.</summary>
        public bool IsHint { get; set; }
    }
}
