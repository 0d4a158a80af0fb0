using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Storage.Linux;

/// <summary>A file or block device past the page cache (O_DIRECT).</summary>
/// <remarks>
/// <para>Aligned requests go straight between the caller's memory and the medium. Others pass through a buffer, and a write that begins or ends inside a sector of
/// the medium reads that sector, merges and writes it whole.</para>
/// <para>Such a merge, a write that makes the file longer, a change of length and a hole are done alone; all other writes share. So two writes that meet in
/// a sector do not undo each other. And a kernel that makes a truncation wait for the direct writes in flight never waits for one that only a ring's thread could
/// end.</para>
/// </remarks>
internal sealed class DirectFileStorage : LinuxFileStorage
{
    private const int BounceSize = PooledBuffer.PooledSize; // bytes at a time, for what is not aligned

    private readonly DirectAlignment _alignment;
    private readonly AsyncSharedLock _writes = new();

    /// <param name="name">As it was given.</param>
    /// <param name="handle">The open file, with O_DIRECT; owned from now on.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="traits">What the file can do.</param>
    /// <param name="options">How it was opened.</param>
    /// <param name="alignment">What the file asks for.</param>
    public DirectFileStorage(string name, SafeFileHandle handle, long length, StorageTraits traits, StorageOpenOptions options, DirectAlignment alignment)
        : base(name, handle, length, traits, options, isInMemory: false)
    {
        _alignment = alignment;
    }

    public override async ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default)
    {
        await _writes.EnterExclusiveAsync().ConfigureAwait(false);
        try
        {
            return await base.SetLengthAsync(length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writes.ExitExclusive();
        }
    }

    public override async ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        await _writes.EnterExclusiveAsync().ConfigureAwait(false);
        try
        {
            return await base.PunchHoleAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writes.ExitExclusive();
        }
    }

    // RWF_NOWAIT waits for the device where nothing is cached.
    protected override long TryReadCore(long offset, in BlockBuffers into, long start, long length) => 0;

    protected override ValueTask<BlockStatus> ReadCoreAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken) =>
        IsAligned(offset, in into, start, length)
            ? MoveAsync(IoKind.Read, offset, into, start, length, WriteFlags.None, cancellationToken)
            : ReadBouncedAsync(offset, into, start, length, cancellationToken);

    protected override ValueTask<BlockStatus> WriteCoreAsync(
        long offset, BlockBuffers from, long start, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (offset + length > Length || !_alignment.HasRange(offset, length))
        {
            return WriteAloneAsync(offset, from, start, length, flags, cancellationToken);
        }

        var entering = _writes.EnterSharedAsync();
        if (!entering.IsCompletedSuccessfully || !_alignment.HasMemory(in from, start, length))
        {
            return WriteSharedAsync(entering, offset, from, start, length, flags, cancellationToken);
        }

        if (Waits == CallerWaits.ForMedium)
        {
            try
            {
                return new(AfterWrite(offset + length, flags, WriteBlocking(offset, in from, start, length, flags)));
            }
            finally
            {
                _writes.ExitShared();
            }
        }

        var request = Prepare(IoKind.Write, offset, from, start, length, flags);
        request.HoldsLock = true; // FinishCore gives it back
        return Enqueue(request, cancellationToken);
    }

    protected override BlockStatus? JudgeCore(IoRequest request, int errno) =>
        // A read that was cut short at the file's new end goes on at an offset that is not aligned.
        request.Kind == IoKind.Read && errno == LinuxErrors.EINVAL && request.Moved > 0 ? BlockStatus.OutOfRange : base.JudgeCore(request, errno);

    protected override void FinishCore(IoRequest request)
    {
        if (request.HoldsLock)
        {
            _writes.ExitShared();
        }
    }

    private static long Down(long value, int alignment) => value & -(long)alignment;

    private static long Up(long value, int alignment) => (value + alignment - 1) & -(long)alignment;

    private bool IsAligned(long offset, in BlockBuffers buffers, long start, long length) =>
        _alignment.HasRange(offset, length) && _alignment.HasMemory(in buffers, start, length);

    private IoRequest Prepare(IoKind kind, long offset, BlockBuffers buffers, long start, long length, WriteFlags flags)
    {
        var request = IoRequest.Rent(this, kind, offset, length).Moving(buffers, start, flags);
        request.IsBlocking = kind == IoKind.Write && (offset + length > Length || ((flags & WriteFlags.Fua) != 0 && !CanWriteThrough));
        return request;
    }

    /// <summary>One aligned request. The caller holds the lock that a write needs.</summary>
    private ValueTask<BlockStatus> MoveAsync(IoKind kind, long offset, BlockBuffers buffers, long start, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (Waits != CallerWaits.ForMedium)
        {
            return Enqueue(Prepare(kind, offset, buffers, start, length, flags), cancellationToken);
        }

        return new(kind == IoKind.Read
            ? ReadBlocking(offset, in buffers, start, length, slack: 0)
            : AfterWrite(offset + length, flags, WriteBlocking(offset, in buffers, start, length, flags)));
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<BlockStatus> ReadBouncedAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken)
    {
        using var bounce = PooledBuffer.Rent(BounceCapacity(offset, length));
        while (length > 0)
        {
            var first = Down(offset, _alignment.Offset);
            var run = Math.Min(length, first + bounce.Capacity - offset);
            var status = await ReadAroundAsync(first, bounce, offset + run, cancellationToken).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return status;
            }

            into.CopyFrom(start, bounce.Span.Slice((int)(offset - first), (int)run));
            offset += run;
            start += run;
            length -= run;
        }

        return BlockStatus.Ok;
    }

    private async ValueTask<BlockStatus> WriteSharedAsync(
        ValueTask entering, long offset, BlockBuffers from, long start, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        await entering.ConfigureAwait(false);
        try
        {
            return await WriteAnyAsync(offset, from, start, length, flags, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writes.ExitShared();
        }
    }

    private async ValueTask<BlockStatus> WriteAloneAsync(
        long offset, BlockBuffers from, long start, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        await _writes.EnterExclusiveAsync().ConfigureAwait(false);
        try
        {
            return await WriteAnyAsync(offset, from, start, length, flags, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writes.ExitExclusive();
        }
    }

    /// <summary>Writes any range from any memory, merging it into the sectors at its ends. The caller holds the lock: alone, where there is something to merge.</summary>
    private async ValueTask<BlockStatus> WriteAnyAsync(
        long offset, BlockBuffers from, long start, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (IsAligned(offset, in from, start, length))
        {
            return await MoveAsync(IoKind.Write, offset, from, start, length, flags, cancellationToken).ConfigureAwait(false);
        }

        using var bounce = PooledBuffer.Rent(BounceCapacity(offset, length));
        while (length > 0)
        {
            var first = Down(offset, _alignment.Offset);
            var run = Math.Min(length, first + bounce.Capacity - offset);
            var end = offset + run;
            var last = Up(end, _alignment.Offset);
            var lengthBefore = Length;
            var status = BlockStatus.Ok;
            if (first != offset || last != end)
            {
                bounce.Span[..(int)(last - first)].Clear();
                var known = Math.Min(last, Up(lengthBefore, _alignment.Offset));
                status = known > first ? await ReadAroundAsync(first, bounce, Math.Min(known, lengthBefore), cancellationToken).ConfigureAwait(false) : status;
            }

            if (status != BlockStatus.Ok)
            {
                return status;
            }

            from.CopyTo(start, bounce.Span.Slice((int)(offset - first), (int)run));
            status = await MoveAsync(IoKind.Write, first, bounce.Take(last - first), 0, last - first, flags, cancellationToken).ConfigureAwait(false);
            var wanted = Math.Max(lengthBefore, end);
            if (Length > wanted && last > wanted)
            {
                // The last sector was written whole, and reaches behind what was asked for.
                var cut = await base.SetLengthAsync(wanted, CancellationToken.None).ConfigureAwait(false);
                status = status == BlockStatus.Ok ? cut : status;
            }

            if (status != BlockStatus.Ok)
            {
                return status;
            }

            offset += run;
            start += run;
            length -= run;
        }

        return BlockStatus.Ok;
    }

    private int BounceCapacity(long offset, long length) =>
        (int)Math.Min(BounceSize, Up(offset + length, _alignment.Offset) - Down(offset, _alignment.Offset));

    /// <summary>Reads whole sectors from <paramref name="first"/> on, so that the bytes up to <paramref name="end"/> are there; where the file ends inside the last sector, no more.</summary>
    private ValueTask<BlockStatus> ReadAroundAsync(long first, PooledBuffer bounce, long end, CancellationToken cancellationToken)
    {
        var slack = (int)(Up(end, _alignment.Offset) - end);
        var request = Prepare(IoKind.Read, first, bounce.Take(end - first + slack), 0, end - first, WriteFlags.None);
        request.Slack = slack;
        if (Waits != CallerWaits.ForMedium)
        {
            return Enqueue(request, cancellationToken);
        }

        var status = ReadBlocking(first, request.Buffers, 0, request.Length, slack);
        request.Return();
        return new(status);
    }
}
