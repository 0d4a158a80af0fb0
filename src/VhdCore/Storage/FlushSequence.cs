using VhdCore.Errors;

namespace VhdCore.Storage;

/// <summary>Flushes of one open file: one at a time, each standing for all that were asked for before it began, and none after a failure.</summary>
/// <remarks>
/// A kernel tells of a lost write once per open file. Of two flushes in flight the second would be told that all is well, so they take turns;
/// and once one has failed, what the medium holds is unknown and asking again would only be told that all is well.
/// </remarks>
/// <param name="flush">Makes durable all that was written before the call; anything but Ok is a failure.</param>
internal sealed class FlushSequence(Func<BlockStatus> flush)
{
    private readonly Lock _turn = new();
    private long _started;
    private long _completed; // guarded by _turn
    private volatile bool _hasFailed;

    /// <summary>What should be durable is not: nothing may be written any more.</summary>
    public bool HasFailed => _hasFailed;

    /// <summary>Records a failure to make something durable, whoever met it.</summary>
    public BlockStatus Fail()
    {
        _hasFailed = true;
        return BlockStatus.IoError;
    }

    /// <summary>Returns once a flush that began after this call has ended, be it another thread's.</summary>
    /// <returns>Ok or IoError.</returns>
    public BlockStatus Run()
    {
        // Full fences here and below: either this sees the flush begun, or the flush sees what was written before this call.
        Interlocked.MemoryBarrier();
        var needed = Volatile.Read(ref _started) + 1;
        lock (_turn)
        {
            if (_hasFailed)
            {
                return BlockStatus.IoError;
            }

            if (_completed >= needed)
            {
                return BlockStatus.Ok;
            }

            var mine = Interlocked.Increment(ref _started);
            if (flush() != BlockStatus.Ok)
            {
                return Fail();
            }

            if (_hasFailed)
            {
                return BlockStatus.IoError; // a write with Fua failed meanwhile, and was told what was meant for this flush
            }

            _completed = mine;
            return BlockStatus.Ok;
        }
    }
}
