using VhdCore.Primitives;

namespace VhdCore.Testing.Crash;

/// <summary>
/// A storage's bytes in cells of 512, of which it is known what is durable and what was written since. Not for several threads.
/// </summary>
internal sealed class CrashFile
{
    public const int CellSize = 512; // bytes
    private const long MaxLength = 1L << 30; // bytes

    private static readonly byte[] ZeroCell = new byte[CellSize];

    private readonly Dictionary<int, List<Version>> _versions = []; // values since the last flush, oldest first
    private readonly List<LengthChange> _lengths = []; // since the last flush, oldest first
    private readonly CrashCells _current;
    private readonly CrashCells _durable;
    private long _durableLength;

    public CrashFile()
        : this(new CrashCells(), 0)
    {
    }

    private CrashFile(CrashCells cells, long length)
    {
        _current = cells;
        _durable = cells.Copy();
        Length = length;
        _durableLength = length;
    }

    public long Length { get; private set; }

    public int ReaderCount { get; set; }

    public bool HasWriter { get; set; }

    /// <summary>Increased when the process that had it open is gone.</summary>
    public int Generation { get; set; }

    public bool HasUnflushed => _versions.Count > 0 || _lengths.Count > 0;

    public IEnumerable<long> UnflushedOperations => _versions.Values.SelectMany(list => list).Select(version => version.Operation)
        .Concat(_lengths.Select(change => change.Operation));

    public byte[]? Cell(int index) => _current[index];

    public void Read(long offset, BlockBuffers into, long start, long length)
    {
        while (length > 0)
        {
            var inCell = (int)(offset % CellSize);
            var span = into.SpanAt(start, Math.Min(length, CellSize - inCell));
            if (Cell((int)(offset / CellSize)) is { } cell)
            {
                cell.AsSpan(inCell, span.Length).CopyTo(span);
            }
            else
            {
                span.Clear();
            }

            offset += span.Length;
            start += span.Length;
            length -= span.Length;
        }
    }

    public void Write(long operation, long offset, BlockBuffers from, long start, long length)
    {
        if (length == 0)
        {
            return;
        }

        var end = offset + length;
        RequireRoom(end);
        var first = (int)(offset / CellSize);
        var last = (int)((end - 1) / CellSize);
        for (var cell = first; cell <= last; cell++)
        {
            var cellStart = (long)cell * CellSize;
            var from0 = Math.Max(offset, cellStart);
            var count = (int)(Math.Min(end, cellStart + CellSize) - from0);
            var value = new byte[CellSize];
            if (count < CellSize)
            {
                _current[cell]?.CopyTo(value, 0);
            }

            from.CopyTo(start + (from0 - offset), value.AsSpan((int)(from0 - cellStart), count));
            Put(cell, value.AsSpan().ContainsAnyExcept((byte)0) ? value : ZeroCell, operation, VersionKind.Written);
        }

        if (end > Length)
        {
            _lengths.Add(new LengthChange(operation, end, (int)(Length / CellSize)));
            Length = end;
        }
    }

    public void SetLength(long operation, long length)
    {
        if (length == Length)
        {
            return;
        }

        RequireRoom(length);
        if (length < Length)
        {
            Clear(operation, length, Alignment.Up(Length, CellSize), VersionKind.Truncated);
        }

        _lengths.Add(new LengthChange(operation, length, int.MaxValue));
        Length = length;
    }

    public void Punch(long operation, long offset, long length) => Clear(operation, offset, offset + length, VersionKind.Written);

    /// <summary>Makes the written cells durable at once; not the length.</summary>
    public void MakeDurable(long operation, long offset, long length)
    {
        if (length == 0)
        {
            return;
        }

        for (var cell = (int)(offset / CellSize); cell <= (int)((offset + length - 1) / CellSize); cell++)
        {
            Settle(cell, operation);
        }
    }

    /// <summary>Everything up to an operation is durable.</summary>
    public void Flush(long upToOperation)
    {
        foreach (var cell in _versions.Keys.ToArray())
        {
            Settle(cell, upToOperation);
        }

        foreach (var change in _lengths)
        {
            if (change.Operation <= upToOperation)
            {
                _durableLength = change.Length;
            }
        }

        _lengths.RemoveAll(change => change.Operation <= upToOperation);
    }

    /// <summary>A flush has failed: the medium has some of what it was to take, and the kernel calls all of it clean, so that no later flush makes up for it.</summary>
    public void FailFlush(Random random)
    {
        foreach (var (cell, versions) in _versions)
        {
            if (random.Next(2) == 0)
            {
                _durable[cell] = versions[random.Next(versions.Count)].Value;
            }
        }

        _versions.Clear();
        _lengths.Clear();
        if (random.Next(2) == 0)
        {
            // A file system that has the length has nothing behind it: growing again shows zeros.
            _durableLength = Length;
            var end = (int)(Length / CellSize);
            if (Length % CellSize != 0 && _durable[end] is { } tail)
            {
                var cut = new byte[CellSize];
                tail.AsSpan(0, (int)(Length % CellSize)).CopyTo(cut);
                _durable[end++] = cut;
            }

            _durable.ClearFrom(end);
        }
    }

    /// <summary>The lengths that a cut may leave, each with what follows from it where the length cannot outrun the data.</summary>
    public List<LengthChange> LengthChoices() => [new(0, _durableLength, int.MaxValue), .. _lengths];

    /// <summary>For each cell that is not settled, the values that a cut may leave below that length.</summary>
    public List<CellChoice> CellChoices(LengthChange length, bool isOrdered)
    {
        var choices = new List<CellChoice>(_versions.Count);
        foreach (var (cell, versions) in _versions)
        {
            if ((long)cell * CellSize >= length.Length)
            {
                continue;
            }

            var (oldest, newest) = isOrdered ? Window(cell, versions, length) : (-1, versions.Count - 1);
            choices.Add(new CellChoice(cell, this, versions, oldest, newest));
        }

        return choices;
    }

    /// <summary>A file after a cut: the durable cells and the picked ones, up to the length.</summary>
    public CrashFile Leave(long length, IEnumerable<(int Cell, byte[]? Value)> picked)
    {
        var count = (int)Alignment.CountOf(length, CellSize);
        var cells = _durable.Copy();
        cells.ClearFrom(count);
        foreach (var (cell, value) in picked)
        {
            cells[cell] = value;
        }

        if (length % CellSize != 0 && cells[count - 1] is { } tail)
        {
            var cut = new byte[CellSize];
            tail.AsSpan(0, (int)(length % CellSize)).CopyTo(cut);
            cells[count - 1] = cut;
        }

        return new CrashFile(cells, length);
    }

    internal byte[]? DurableCell(int index) => (long)index * CellSize < _durableLength ? _durable[index] : null;

    /// <summary>Where the length cannot outrun the data: which versions of a cell can go with a length, as indexes; -1 is the durable value.</summary>
    private static (int Oldest, int Newest) Window(int cell, List<Version> versions, LengthChange length)
    {
        var oldest = -1;
        var newest = versions.Count - 1;
        for (var i = 0; i < versions.Count; i++)
        {
            if (versions[i].Operation <= length.Operation)
            {
                // A truncation that has happened took the cell; a write that made the length brought its own cells.
                var brought = versions[i].Operation == length.Operation && cell >= length.FirstNewCell;
                oldest = brought || versions[i].Kind == VersionKind.Truncated ? i : oldest;
            }
            else if (versions[i].Kind == VersionKind.Truncated)
            {
                newest = Math.Min(newest, i - 1);
            }
        }

        return (oldest, Math.Max(oldest, newest));
    }

    private void Clear(long operation, long from, long to, VersionKind kind)
    {
        while (from < to)
        {
            var cell = (int)(from / CellSize);
            var inCell = (int)(from % CellSize);
            var count = (int)Math.Min(to - from, CellSize - inCell);
            if (_current[cell] is { } value)
            {
                byte[]? cleared = null;
                if (count < CellSize)
                {
                    cleared = [.. value];
                    cleared.AsSpan(inCell, count).Clear();
                }

                Put(cell, cleared, operation, kind);
            }

            from += count;
        }
    }

    private void Put(int cell, byte[]? value, long operation, VersionKind kind)
    {
        _current[cell] = value;
        if (!_versions.TryGetValue(cell, out var versions))
        {
            versions = new List<Version>(2);
            _versions.Add(cell, versions);
        }

        versions.Add(new Version(operation, value, kind));
    }

    private void Settle(int cell, long upToOperation)
    {
        if (!_versions.TryGetValue(cell, out var versions))
        {
            return;
        }

        var settled = 0;
        while (settled < versions.Count && versions[settled].Operation <= upToOperation)
        {
            _durable[cell] = versions[settled++].Value;
        }

        if (settled == versions.Count)
        {
            _versions.Remove(cell);
        }
        else
        {
            versions.RemoveRange(0, settled);
        }
    }

    private static void RequireRoom(long length)
    {
        if (length > MaxLength)
        {
            throw new InvalidOperationException($"{length} bytes are more than a crash world is made for.");
        }
    }

    internal enum VersionKind : byte
    {
        Written,
        Truncated,
    }

    /// <param name="Operation">The world's number of the operation.</param>
    /// <param name="Value">The cell's bytes; null is a hole.</param>
    /// <param name="Kind">How it came about.</param>
    internal readonly record struct Version(long Operation, byte[]? Value, VersionKind Kind);

    /// <param name="Operation">The world's number of the operation; 0 for the durable length.</param>
    /// <param name="Length">Bytes.</param>
    /// <param name="FirstNewCell">The first cell behind the old end that the same write filled.</param>
    internal readonly record struct LengthChange(long Operation, long Length, int FirstNewCell);

    /// <summary>The values that one cell may have after a cut.</summary>
    internal readonly struct CellChoice(int cell, CrashFile file, List<Version> versions, int oldest, int newest)
    {
        public int Cell => cell;

        public int Count => newest - oldest + 1;

        /// <summary>The i-th value, oldest first.</summary>
        public byte[]? this[int index] => oldest + index < 0 ? file.DurableCell(cell) : versions[oldest + index].Value;

        /// <summary>The newest value whose operation was kept, or the oldest there is.</summary>
        public byte[]? NewestKept(Func<long, bool> isKept)
        {
            for (var i = newest; i > oldest; i--)
            {
                if (isKept(versions[i].Operation))
                {
                    return versions[i].Value;
                }
            }

            return this[0];
        }
    }
}
