using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Storage.Linux;

/// <summary>
/// A file or block device by our own system calls: .NET's list overloads allocate for each request, and it has neither RWF_DSYNC and RWF_NOWAIT
/// nor holes.
/// </summary>
internal class LinuxFileStorage : FileStorage
{
    private const int MaxRuns = 64; // of one call; 1 KiB of stack. The kernel takes 1024 (IOV_MAX).

    private readonly bool _isInMemory;
    private volatile bool _canReadWithoutWaiting = true;
    private volatile bool _canWriteThrough = true;
    private volatile bool _nameIsDurable;

    /// <param name="name">As it was given.</param>
    /// <param name="handle">The open file; owned from now on.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="traits">What the file can do.</param>
    /// <param name="options">How it was opened.</param>
    /// <param name="isInMemory">A plain read never waits for a device.</param>
    public LinuxFileStorage(string name, SafeFileHandle handle, long length, StorageTraits traits, StorageOpenOptions options, bool isInMemory)
        : base(name, handle, length, traits, options)
    {
        _isInMemory = isInMemory;
        _nameIsDurable = !options.CreateNew;
    }

    protected override bool IsInMemory => _isInMemory;

    /// <summary>A write can make its own bytes durable, as far as was found out.</summary>
    protected bool CanWriteThrough => _canWriteThrough;

    /// <summary>See <see cref="StorageClone.MayClone"/>.</summary>
    public bool MayCloneFrom(LinuxFileStorage source)
    {
        var type = LinuxFileSystem.TypeOf(Handle);
        return LinuxFileSystem.MayShareRanges(type) && LinuxFileSystem.TypeOf(source.Handle) == type && !Traits.IsBlockDevice && !source.Traits.IsBlockDevice;
    }

    /// <summary>See <see cref="StorageClone.Clone"/>.</summary>
    public BlockStatus CloneFrom(LinuxFileStorage source, long sourceOffset, long offset, long length)
    {
        if (RefuseChange(RefuseNow(CancellationToken.None)) is var refusal and not BlockStatus.Ok)
        {
            return refusal;
        }

        if (length == 0 || !IsInside(offset, length) || !source.IsInside(sourceOffset, length))
        {
            return BlockStatus.Unsupported;
        }

        try
        {
            return LinuxClone.Run(source.Handle, sourceOffset, Handle, offset, length);
        }
        catch (ObjectDisposedException)
        {
            return BlockStatus.Closed;
        }
    }

    protected override unsafe long TryReadCore(long offset, in BlockBuffers into, long start, long length)
    {
        if (_isInMemory)
        {
            return Math.Max(0, ReadSome(offset, in into, start, length));
        }

        if (!_canReadWithoutWaiting)
        {
            return 0;
        }

        try
        {
            // Safety: the run lies inside the request's memory, which the caller keeps until this returns.
            var moved = into.TryDescribe(start, length, out var run)
                ? LinuxCalls.PReadV2(Handle, &run, 1, offset, LinuxCalls.RWF_NOWAIT)
                : ReadScattered(offset, in into, start, length, LinuxCalls.RWF_NOWAIT);
            if (moved >= 0)
            {
                return moved;
            }

            if (LinuxErrors.IsUnsupported(Marshal.GetLastPInvokeError()))
            {
                _canReadWithoutWaiting = false;
            }
        }
        catch (EntryPointNotFoundException)
        {
            _canReadWithoutWaiting = false;
        }

        return 0;
    }

    protected override ValueTask<BlockStatus> ReadCoreAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken)
    {
        if (Waits == CallerWaits.ForMedium || _isInMemory)
        {
            return new(ReadBlocking(offset, in into, start, length, slack: 0));
        }

        var moved = TryReadCore(offset, in into, start, length);
        return moved == length
            ? new(BlockStatus.Ok)
            : Enqueue(IoRequest.Rent(this, IoKind.Read, offset + moved, length - moved).Moving(into, start + moved, WriteFlags.None), cancellationToken);
    }

    protected override ValueTask<BlockStatus> WriteCoreAsync(
        long offset, BlockBuffers from, long start, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        // A copy to memory, unless it must be durable; and a server's thread is not to wait where a kernel short of clean pages makes writers wait.
        if (_isInMemory || Waits == CallerWaits.ForMedium || (Waits == CallerWaits.ForMemory && (flags & WriteFlags.Fua) == 0))
        {
            return new(AfterWrite(offset + length, flags, WriteBlocking(offset, in from, start, length, flags)));
        }

        var request = IoRequest.Rent(this, IoKind.Write, offset, length).Moving(from, start, flags);

        // What makes the file longer asks for the length afterwards, under a lock that a truncation may hold for long: not on a ring's thread.
        request.IsBlocking = offset + length > Length || ((flags & WriteFlags.Fua) != 0 && !_canWriteThrough);
        return Enqueue(request, cancellationToken);
    }

    protected override BlockStatus ReadBlocking(long offset, in BlockBuffers into, long start, long length, int slack)
    {
        var hasMoved = false;
        do
        {
            var moved = ReadSome(offset, in into, start, length + slack);
            if (moved <= 0)
            {
                // The file was cut beneath us. A direct read then goes on at an offset that is not aligned.
                return moved == 0 || (moved == -LinuxErrors.EINVAL && hasMoved) ? BlockStatus.OutOfRange : LinuxErrors.ToStatus((int)-moved);
            }

            hasMoved = true;
            offset += moved;
            start += moved;
            length -= moved;
        }
        while (length > 0);
        return BlockStatus.Ok;
    }

    protected override BlockStatus WriteBlocking(long offset, in BlockBuffers from, long start, long length, WriteFlags flags)
    {
        if ((flags & WriteFlags.Fua) == 0)
        {
            return LinuxErrors.ToStatus(WriteAll(offset, in from, start, length, durably: false));
        }

        if (_canWriteThrough)
        {
            var errno = WriteAll(offset, in from, start, length, durably: true);
            if (errno == 0)
            {
                return BlockStatus.Ok;
            }

            if (LinuxErrors.IsUnsupported(errno))
            {
                _canWriteThrough = false;
            }
            else if (LinuxErrors.ToStatus(errno) == BlockStatus.NoSpace)
            {
                // Full on writing, which harms nothing, or on syncing, when earlier bytes may be lost as well? Only the first fails again without a sync.
                errno = WriteAll(offset, in from, start, length, durably: false);
                return errno == 0 ? Fail() : LinuxErrors.ToStatus(errno);
            }
            else
            {
                return Fail();
            }
        }

        var status = LinuxErrors.ToStatus(WriteAll(offset, in from, start, length, durably: false));
        return status == BlockStatus.Ok ? Flush() : status;
    }

    protected override BlockStatus? JudgeCore(IoRequest request, int errno)
    {
        if ((request.Flags & WriteFlags.Fua) == 0)
        {
            return LinuxErrors.ToStatus(errno);
        }

        // Refused, or full: was it the writing, or the syncing? Writing again, with and without, tells.
        return LinuxErrors.IsUnsupported(errno) || LinuxErrors.ToStatus(errno) == BlockStatus.NoSpace ? null : Fail();
    }

    protected override BlockStatus FlushCore()
    {
        // fdatasync covers a changed length, but not the name of a new file.
        if (_nameIsDurable)
        {
            return Sync(contentOnly: true) ? BlockStatus.Ok : BlockStatus.IoError;
        }

        _nameIsDurable = Sync(contentOnly: false) && SyncFolderOf(FullPath);
        return _nameIsDurable ? BlockStatus.Ok : BlockStatus.IoError;
    }

    protected override BlockStatus SetLengthCore(long length)
    {
        int result;
        do
        {
            result = LinuxCalls.FTruncate(Handle, length);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == LinuxErrors.EINTR);
        return result == 0 ? BlockStatus.Ok : LinuxErrors.ToStatus(Marshal.GetLastPInvokeError());
    }

    protected override BlockStatus PunchHoleCore(long offset, long length)
    {
        int result;
        do
        {
            result = LinuxCalls.FAllocate(Handle, LinuxCalls.FALLOC_FL_PUNCH_HOLE | LinuxCalls.FALLOC_FL_KEEP_SIZE, offset, length);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == LinuxErrors.EINTR);
        if (result == 0)
        {
            return BlockStatus.Ok;
        }

        var errno = Marshal.GetLastPInvokeError();
        return LinuxErrors.IsUnsupported(errno) ? BlockStatus.Unsupported : LinuxErrors.ToStatus(errno);
    }

    protected override StorageRun MapCore(long offset, long length)
    {
        var data = LinuxCalls.LSeek(Handle, offset, LinuxCalls.SEEK_DATA);
        if (data > offset)
        {
            return new StorageRun(IsHole: true, Math.Min(length, data - offset));
        }

        if (data == offset)
        {
            var hole = LinuxCalls.LSeek(Handle, offset, LinuxCalls.SEEK_HOLE);
            return new StorageRun(IsHole: false, hole > offset ? Math.Min(length, hole - offset) : length);
        }

        // ENXIO: no data up to the end. Or the file was cut beneath us, and then a read must find out.
        var isHole = Marshal.GetLastPInvokeError() == LinuxErrors.ENXIO && QueryLength() >= offset + length;
        return new StorageRun(isHole, length);
    }

    protected override BlockStatus RenameCore(string newFullPath, out bool isRenamed)
    {
        isRenamed = false;
        if (!LinuxFileOpener.MayBeReplaced(newFullPath))
        {
            return BlockStatus.Unsupported;
        }

        isRenamed = LinuxCalls.Rename(FullPath, newFullPath) == 0;
        if (!isRenamed)
        {
            return LinuxErrors.ToStatus(Marshal.GetLastPInvokeError());
        }

        var isSameFolder = Path.GetDirectoryName(FullPath) == Path.GetDirectoryName(newFullPath);
        if (!SyncFolderOf(newFullPath) || (!isSameFolder && !SyncFolderOf(FullPath)))
        {
            return Fail();
        }

        _nameIsDurable = true;
        return BlockStatus.Ok;
    }

    protected override long QueryLength() => LinuxCalls.LSeek(Handle, 0, LinuxCalls.SEEK_END);

    protected override unsafe long? QueryAllocatedBytes()
    {
        LinuxCalls.StatXBuffer about;
        try
        {
            // Safety: the kernel fills one struct statx, which outlives the call.
            return LinuxCalls.StatX(Handle, "", LinuxCalls.AT_EMPTY_PATH, LinuxCalls.STATX_BASIC_STATS, &about) == 0 && about.IsRegularFile ? (long)about.Blocks * 512 : null;
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }

    protected override void ReleaseLocks() => LinuxImageLock.Release(Handle);

    /// <returns>Bytes moved, at least 1; 0 at the file's end; or errno, negated.</returns>
    private long ReadSome(long offset, in BlockBuffers into, long start, long length)
    {
        while (true)
        {
            var moved = into.TryDescribe(start, Math.Min(length, LinuxCalls.MaxTransfer), out var run)
                ? LinuxCalls.PRead(Handle, run.Address, run.Length, offset)
                : ReadScattered(offset, in into, start, Math.Min(length, LinuxCalls.MaxTransfer), flags: 0);
            if (moved >= 0)
            {
                return moved;
            }

            var errno = Marshal.GetLastPInvokeError();
            if (errno != LinuxErrors.EINTR)
            {
                return -errno;
            }
        }
    }

    [SkipLocalsInit]
    private unsafe nint ReadScattered(long offset, in BlockBuffers into, long start, long length, int flags)
    {
        // Safety: the runs lie inside the request's memory, which the caller keeps until this returns.
        var runs = stackalloc IoVec[MaxRuns];
        var (count, _) = into.Describe(start, length, new Span<IoVec>(runs, MaxRuns));
        return flags == 0 ? LinuxCalls.PReadV(Handle, runs, count, offset) : LinuxCalls.PReadV2(Handle, runs, count, offset, flags);
    }

    /// <returns>0, or errno; some of the bytes may then have been written.</returns>
    [SkipLocalsInit]
    private unsafe int WriteAll(long offset, in BlockBuffers from, long start, long length, bool durably)
    {
        // Safety: the runs lie inside the request's memory, which the caller keeps until this returns.
        var runs = stackalloc IoVec[MaxRuns];
        while (length > 0)
        {
            var (count, _) = from.Describe(start, Math.Min(length, LinuxCalls.MaxTransfer), new Span<IoVec>(runs, MaxRuns));
            var moved = durably ? WriteThrough(runs, count, offset)
                : count == 1 ? LinuxCalls.PWrite(Handle, runs->Address, runs->Length, offset)
                : LinuxCalls.PWriteV(Handle, runs, count, offset);
            if (moved > 0)
            {
                offset += moved;
                start += moved;
                length -= moved;
            }
            else if (moved == 0)
            {
                return LinuxErrors.EIO; // no progress, and no reason given
            }
            else if (Marshal.GetLastPInvokeError() is var errno and not LinuxErrors.EINTR)
            {
                return errno;
            }
        }

        return 0;
    }

    // Safety: as its only caller says.
    private unsafe nint WriteThrough(IoVec* runs, int count, long offset)
    {
        try
        {
            return LinuxCalls.PWriteV2(Handle, runs, count, offset, LinuxCalls.RWF_DSYNC);
        }
        catch (EntryPointNotFoundException)
        {
            Marshal.SetLastPInvokeError(LinuxErrors.ENOSYS);
            return -1;
        }
    }

    private bool Sync(bool contentOnly)
    {
        int result;
        do
        {
            result = contentOnly ? LinuxCalls.FDataSync(Handle) : LinuxCalls.FSync(Handle);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == LinuxErrors.EINTR);
        return result == 0;
    }

    private bool SyncFolderOf(string path)
    {
        var descriptor = LinuxCalls.Open(Path.GetDirectoryName(path) ?? "/", LinuxCalls.O_RDONLY | LinuxCalls.O_CLOEXEC, mode: 0);
        if (descriptor < 0)
        {
            return LinuxCalls.SyncFs(Handle) == 0; // a folder that may be changed but not listed
        }

        using var folder = new SafeFileHandle(descriptor, ownsHandle: true);
        return LinuxCalls.FSync(folder) == 0 || (LinuxErrors.IsUnsupported(Marshal.GetLastPInvokeError()) && LinuxCalls.SyncFs(Handle) == 0);
    }
}
