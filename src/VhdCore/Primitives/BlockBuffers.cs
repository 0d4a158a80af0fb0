namespace VhdCore.Primitives;

/// <summary>
/// The memory of one request: a native run held inline, or a list of runs that the caller keeps alive. 24 bytes, copied freely.
/// </summary>
/// <remarks>
/// Nothing is owned here. The caller keeps both the list and the runs alive and unmoved until the request that took them has completed,
/// cancelled or not. Managed memory must be pinned first; <c>VirtualDisk</c> does that at the library's door.
/// </remarks>
public readonly unsafe struct BlockBuffers
{
    private readonly nint _address; // of the run, or of the list
    private readonly nint _count;   // 0: one inline run; otherwise runs in the list
    private readonly long _length;

    private BlockBuffers(nint address, nint count, long length)
    {
        _address = address;
        _count = count;
        _length = length;
    }

    /// <summary>Bytes over all runs.</summary>
    public long Length => _length;

    /// <summary>Runs in this request, at least one.</summary>
    public int SegmentCount => _count == 0 ? 1 : (int)_count;

    /// <summary>One run of native memory.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="length"/> is negative.</exception>
    public static BlockBuffers Of(nint address, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return new BlockBuffers(address, 0, length);
    }

    /// <summary>A list of <paramref name="count"/> <see cref="IoVec"/>s at <paramref name="segments"/>, <paramref name="length"/> bytes in all.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is below one, or <paramref name="length"/> is not the runs' sum.</exception>
    public static BlockBuffers List(nint segments, int count, long length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        long sum = 0;
        // Safety: the caller vouches for `count` IoVecs at `segments`; they are read, never written.
        foreach (var segment in new ReadOnlySpan<IoVec>((void*)segments, count))
        {
            ArgumentOutOfRangeException.ThrowIfNegative(segment.Length, nameof(segments));
            sum = checked(sum + segment.Length);
        }

        ArgumentOutOfRangeException.ThrowIfNotEqual(length, sum);
        return new BlockBuffers(segments, count, length);
    }

    /// <summary>The longest contiguous run that begins at <paramref name="start"/>, cut to <paramref name="length"/> bytes and to what a span can hold.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside this request.</exception>
    public Span<byte> SpanAt(long start, long length)
    {
        CheckRange(start, length);
        if (_count == 0)
        {
            // Safety: inside the run, checked above; the caller keeps the run alive.
            return new Span<byte>((byte*)_address + start, (int)Math.Min(length, int.MaxValue));
        }

        foreach (var segment in Segments)
        {
            if (start < segment.Length)
            {
                // Safety: start lies inside this segment, and the run is cut to the segment's end.
                return new Span<byte>((byte*)segment.Address + start, (int)Math.Min(Math.Min(length, segment.Length - start), int.MaxValue));
            }

            start -= segment.Length;
        }

        return default; // start == Length, length == 0
    }

    /// <summary>Describes the range as one run, where this request was made as one. Quicker than a list of one.</summary>
    /// <returns>False for a list.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside this request.</exception>
    internal bool TryDescribe(long start, long length, out IoVec run)
    {
        CheckRange(start, length);
        run = new IoVec(_address + (nint)start, (nint)length);
        return _count == 0;
    }

    /// <summary>Describes the range as at most <c>into.Length</c> runs for a vectored system call.</summary>
    /// <returns>How many runs were filled in, and how many bytes they cover: less than <paramref name="length"/> when <paramref name="into"/> was too small.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside this request.</exception>
    public (int Count, long Length) Describe(long start, long length, Span<IoVec> into)
    {
        CheckRange(start, length);
        if (_count == 0)
        {
            into[0] = new IoVec(_address + (nint)start, (nint)length);
            return (1, length);
        }

        var count = 0;
        long covered = 0;
        foreach (var segment in Segments)
        {
            if (start >= segment.Length)
            {
                start -= segment.Length;
                continue;
            }

            if (covered == length || count == into.Length)
            {
                break;
            }

            var run = Math.Min(segment.Length - start, length - covered);
            into[count++] = new IoVec(segment.Address + (nint)start, (nint)run);
            covered += run;
            start = 0;
        }

        return (count, covered);
    }

    /// <summary>Fills the range with zeros.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside this request.</exception>
    public void Clear(long start, long length)
    {
        for (var walk = new Walk(in this, start, length); walk.TryNext(out var run);)
        {
            run.Clear();
        }
    }

    /// <summary>Copies the range that begins at <paramref name="start"/> into <paramref name="destination"/>, as many bytes as that holds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside this request.</exception>
    public void CopyTo(long start, Span<byte> destination)
    {
        for (var walk = new Walk(in this, start, destination.Length); walk.TryNext(out var run); destination = destination[run.Length..])
        {
            run.CopyTo(destination);
        }
    }

    /// <summary>Copies <paramref name="source"/> over the range that begins at <paramref name="start"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside this request.</exception>
    public void CopyFrom(long start, ReadOnlySpan<byte> source)
    {
        for (var walk = new Walk(in this, start, source.Length); walk.TryNext(out var run); source = source[run.Length..])
        {
            source[..run.Length].CopyTo(run);
        }
    }

    // Safety: List checked the count, and the caller keeps the list alive.
    private ReadOnlySpan<IoVec> Segments => new((void*)_address, (int)_count);

    private void CheckRange(long start, long length)
    {
        if ((ulong)start > (ulong)_length || (ulong)length > (ulong)(_length - start))
        {
            throw new ArgumentOutOfRangeException(nameof(start), $"{length} bytes at {start} do not lie inside a request of {_length} bytes.");
        }
    }

    /// <summary>Goes over a range run by run, and over the list once.</summary>
    private ref struct Walk
    {
        private ReadOnlySpan<IoVec> _further; // runs behind the one at hand
        private byte* _next;
        private long _inRun; // bytes left in the run at hand
        private long _left; // bytes left in the range

        public Walk(in BlockBuffers buffers, long start, long length)
        {
            buffers.CheckRange(start, length);
            _left = length;
            if (buffers._count == 0)
            {
                // Safety: start lies inside the run, or at its end.
                _next = (byte*)buffers._address + start;
                _inRun = length;
                return;
            }

            _further = buffers.Segments;
            while (!_further.IsEmpty && start >= _further[0].Length)
            {
                start -= _further[0].Length;
                _further = _further[1..];
            }

            Enter(start);
        }

        /// <summary>The next run, not empty.</summary>
        public bool TryNext(out Span<byte> run)
        {
            while (_inRun == 0 && !_further.IsEmpty)
            {
                Enter(start: 0);
            }

            // Safety: inside the run at hand, which the caller keeps alive.
            run = new Span<byte>(_next, (int)Math.Min(Math.Min(_inRun, _left), int.MaxValue));
            _next += run.Length;
            _inRun -= run.Length;
            _left -= run.Length;
            return run.Length > 0;
        }

        private void Enter(long start)
        {
            if (!_further.IsEmpty)
            {
                // Safety: start lies inside the run.
                _next = (byte*)_further[0].Address + start;
                _inRun = _further[0].Length - start;
                _further = _further[1..];
            }
        }
    }
}
