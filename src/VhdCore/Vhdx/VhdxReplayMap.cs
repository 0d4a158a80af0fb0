namespace VhdCore.Vhdx;

/// <summary>Which byte of the file comes from which of a log's updates, later ones winning. Immutable.</summary>
internal sealed class VhdxReplayMap
{
    private readonly IReadOnlyList<VhdxLogUpdate> _updates;
    private readonly List<Segment> _segments = []; // by offset, none overlapping

    /// <summary>Sorts out updates given in the order in which they are to be made.</summary>
    public VhdxReplayMap(IReadOnlyList<VhdxLogUpdate> updates)
    {
        _updates = updates;
        var byOffset = Enumerable.Range(0, updates.Count).Where(i => updates[i].Length > 0).ToArray();
        Array.Sort(byOffset, (a, b) => updates[a].FileOffset.CompareTo(updates[b].FileOffset));
        var open = new PriorityQueue<int, int>(); // updates that cover the current offset or ended before it, the latest first
        long at = 0;
        for (var next = 0; next < byOffset.Length || open.Count > 0;)
        {
            if (open.Count == 0)
            {
                at = updates[byOffset[next]].FileOffset;
            }

            for (; next < byOffset.Length && updates[byOffset[next]].FileOffset == at; next++)
            {
                open.Enqueue(byOffset[next], -byOffset[next]);
            }

            var latest = open.Peek();
            if (updates[latest].End <= at)
            {
                open.Dequeue();
                continue;
            }

            var end = updates[latest].End;
            if (next < byOffset.Length)
            {
                end = Math.Min(end, updates[byOffset[next]].FileOffset);
            }

            Append(at, end, latest);
            at = end;
        }
    }

    /// <summary>Every run that comes from an update, by offset: where it begins and ends in the file.</summary>
    public IEnumerable<(long Start, long End, VhdxLogUpdate Update)> Runs => _segments.Select(segment => (segment.Start, segment.End, _updates[segment.Update]));

    /// <summary>The first run at an offset.</summary>
    /// <param name="offset">Bytes from the file's start.</param>
    /// <param name="length">Bytes to look at, at least one.</param>
    /// <param name="update">What the run comes from; null for the file itself.</param>
    /// <returns>Bytes in the run, at most <paramref name="length"/>.</returns>
    public long Find(long offset, long length, out VhdxLogUpdate? update)
    {
        var low = 0;
        var high = _segments.Count;
        while (low < high) // the first segment that ends behind the offset
        {
            var middle = low + ((high - low) / 2);
            if (_segments[middle].End <= offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        if (low == _segments.Count)
        {
            update = null;
            return length;
        }

        var segment = _segments[low];
        if (offset < segment.Start)
        {
            update = null;
            return Math.Min(length, segment.Start - offset);
        }

        update = _updates[segment.Update];
        return Math.Min(length, segment.End - offset);
    }

    private void Append(long start, long end, int update)
    {
        if (_segments.Count > 0 && _segments[^1] is var last && last.End == start
            && (last.Update == update || (_updates[last.Update].IsZero && _updates[update].IsZero)))
        {
            _segments[^1] = last with { End = end };
        }
        else
        {
            _segments.Add(new Segment(start, end, update));
        }
    }

    private readonly record struct Segment(long Start, long End, int Update);
}
