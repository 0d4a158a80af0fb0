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
        while (length > 0)
        {
            var run = SpanAt(start, length);
            run.Clear();
            start += run.Length;
            length -= run.Length;
        }
    }

    /// <summary>Copies the range that begins at <paramref name="start"/> into <paramref name="destination"/>, as many bytes as that holds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside this request.</exception>
    public void CopyTo(long start, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            var run = SpanAt(start, destination.Length);
            run.CopyTo(destination);
            destination = destination[run.Length..];
            start += run.Length;
        }
    }

    /// <summary>Copies <paramref name="source"/> over the range that begins at <paramref name="start"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside this request.</exception>
    public void CopyFrom(long start, ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            var run = SpanAt(start, source.Length);
            source[..run.Length].CopyTo(run);
            source = source[run.Length..];
            start += run.Length;
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
}
