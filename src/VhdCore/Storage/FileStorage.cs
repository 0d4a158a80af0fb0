using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage.Linux;

namespace VhdCore.Storage;

/// <summary>
/// A file, or on Linux a block device. What both paths to the operating system share: the length, and what a failed
/// flush leaves behind. The two paths are <see cref="LinuxFileStorage"/> and <see cref="PortableFileStorage"/>.
/// </summary>
/// <remarks>
/// <see cref="IoSettings"/> say what is done on the caller's thread, and what goes to an engine; in the steady state nothing is allocated. After a failed flush, or a failed write with <see cref="WriteFlags.Fua"/>, what the medium holds is unknown and the kernel
/// reports it only once: from then on flushes are <see cref="BlockStatus.IoError"/> and changes <see cref="BlockStatus.ReadOnly"/> until the
/// file is opened again. Reads go on.
/// </remarks>
internal abstract class FileStorage : EngineUser, IStorage
{
    private readonly Lock _lengthLock = new();
    private readonly Lock _nameLock = new();
    private readonly FlushSequence _flushes;
    private long _length;
    private int _isDisposed;
    private volatile string _name;

    /// <param name="name">As it was given, for messages.</param>
    /// <param name="handle">The open file; owned from now on.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="traits">What the file can do, without <see cref="StorageTraits.AllocatedBytes"/>.</param>
    /// <param name="options">How it was opened.</param>
    protected FileStorage(string name, SafeFileHandle handle, long length, StorageTraits traits, StorageOpenOptions options)
        : base(options)
    {
        _name = name;
        _length = length;
        _flushes = new FlushSequence(FlushCore);
        FullPath = MakeAbsolute(name);
        Handle = handle;
        Traits = traits with { AllocatedBytes = QueryAllocatedBytes };
    }

    public string Name => _name;

    public StorageTraits Traits { get; }

    public long Length => Volatile.Read(ref _length);

    public override int Descriptor => (int)Handle.DangerousGetHandle();

    protected SafeFileHandle Handle { get; }

    private static bool HasOwnCalls => OperatingSystem.IsLinux() && Environment.Is64BitProcess;

    /// <summary>Where the file lies, whatever the current folder becomes.</summary>
    protected string FullPath { get; private set; }

    /// <summary>Opens or creates a file.</summary>
    /// <param name="name">A path.</param>
    /// <param name="options">What for.</param>
    /// <param name="usePortablePath">For tests: the path of other systems, on Linux too.</param>
    /// <exception cref="StorageException">It cannot be opened; the message says why.</exception>
    /// <exception cref="ImageInUseException">Another use of the file excludes this one.</exception>
    public static FileStorage Open(string name, StorageOpenOptions options, bool usePortablePath = false)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(options);
        if (options.Sharing == StorageSharing.Force && options.Access != StorageAccess.Read)
        {
            throw new ArgumentException("Only reading may go ahead without locks.", nameof(options));
        }

        if (name.Length == 0 || name.Contains('\0'))
        {
            throw new StorageException($"'{name.Replace('\0', '?')}' is no file name: it is empty or has a NUL in it. Name a file.", name);
        }

        // Before there is a file: what is asked for and not to be had is said at once, and no ring is started otherwise.
        if (options.Io.Waits != CallerWaits.ForMedium)
        {
            StorageEngines.Check(options.Io.Engine);
        }

        return HasOwnCalls && !usePortablePath ? LinuxFileOpener.Open(name, options) : PortableFileStorage.OpenFile(name, options);
    }

    /// <summary>Whether there is something of that name that <see cref="Open"/> would take for a storage.</summary>
    public static bool Exists(string name) => !string.IsNullOrEmpty(name) && !name.Contains('\0') && (HasOwnCalls ? LinuxFileOpener.Exists(name) : File.Exists(name));

    public long TryRead(long offset, BlockBuffers into, long start, long length)
    {
        if (!IsInside(offset, length) || length == 0)
        {
            return 0;
        }

        try
        {
            return TryReadCore(offset, in into, start, length);
        }
        catch (ObjectDisposedException)
        {
            return 0;
        }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default)
    {
        if (RefuseNow(cancellationToken) is var refusal and not BlockStatus.Ok)
        {
            return new(refusal);
        }

        if (!IsInside(offset, length))
        {
            return new(BlockStatus.OutOfRange);
        }

        CheckMemory(in into, start, length);
        try
        {
            return length == 0 ? new(BlockStatus.Ok) : ReadCoreAsync(offset, into, start, length, cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            return new(BlockStatus.Closed);
        }
    }

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        if (RefuseChange(RefuseNow(cancellationToken)) is var refusal and not BlockStatus.Ok)
        {
            return new(refusal);
        }

        if (offset < 0 || length < 0)
        {
            return new(BlockStatus.OutOfRange);
        }

        CheckMemory(in from, start, length);
        if (length == 0)
        {
            return new(BlockStatus.Ok);
        }

        if (offset > long.MaxValue - length || (Traits.IsBlockDevice && !IsInside(offset, length)))
        {
            return new(BlockStatus.NoSpace);
        }

        try
        {
            return WriteCoreAsync(offset, from, start, length, flags, cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            return new(BlockStatus.Closed);
        }
    }

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) =>
        RefuseNow(cancellationToken) is var refusal and not BlockStatus.Ok ? new(refusal)
        : Waits == CallerWaits.ForMedium || IsInMemory || !Traits.CanWrite ? new(Flush())
        : Enqueue(IoRequest.Rent(this, IoKind.Flush, 0, 0), cancellationToken);

    public virtual ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default) =>
        RefuseNow(cancellationToken) is var refusal and not BlockStatus.Ok ? new(refusal)
        : StaysOnCaller ? new(SetLength(length))
        : Enqueue(IoRequest.Rent(this, IoKind.SetLength, 0, length), cancellationToken);

    public virtual ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        RefuseNow(cancellationToken) is var refusal and not BlockStatus.Ok ? new(refusal)
        : StaysOnCaller ? new(PunchHole(offset, length))
        : Enqueue(IoRequest.Rent(this, IoKind.PunchHole, offset, length), cancellationToken);

    public StorageRun Map(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        if (!IsInside(offset, length))
        {
            throw new ArgumentOutOfRangeException(nameof(length), $"{length} bytes at {offset} do not lie inside {Length} bytes.");
        }

        return MapCore(offset, length);
    }

    public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(newName);
        return RefuseNow(cancellationToken) is var refusal and not BlockStatus.Ok ? new(refusal)
            : StaysOnCaller ? new(Rename(newName))
            : Enqueue(IoRequest.Rent(this, IoKind.Rename, 0, 0).Naming(newName), cancellationToken);
    }

    /// <summary>Refuses new requests, waits for those that an engine has, gives up the locks and closes the file.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            await CloseRequestsAsync().ConfigureAwait(false);
            ReleaseLocks();
            Handle.Dispose();
        }
    }

    public override BlockStatus Run(IoRequest request)
    {
        try
        {
            return request.Kind switch
            {
                IoKind.Read => ReadBlocking(request.Offset, request.Buffers, request.Start, request.Length, request.Slack),
                IoKind.Write => WriteBlocking(request.Offset, request.Buffers, request.Start, request.Length, request.Flags),
                IoKind.Flush => Flush(),
                IoKind.SetLength => SetLength(request.Length),
                IoKind.PunchHole => PunchHole(request.Offset, request.Length),
                _ => Rename(request.Name!),
            };
        }
        catch (ObjectDisposedException)
        {
            return BlockStatus.Closed;
        }
    }

    /// <summary>As many bytes as are in memory. The range lies inside <see cref="Length"/>.</summary>
    protected abstract long TryReadCore(long offset, in BlockBuffers into, long start, long length);

    /// <summary>The range lies inside <see cref="Length"/>, and is not empty.</summary>
    protected abstract ValueTask<BlockStatus> ReadCoreAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken);

    /// <summary>The range is not empty. Ends with <see cref="AfterWrite"/>.</summary>
    protected abstract ValueTask<BlockStatus> WriteCoreAsync(long offset, BlockBuffers from, long start, long length, WriteFlags flags, CancellationToken cancellationToken);

    /// <summary>Reads, waiting as long as it takes. So many bytes behind the length may be filled too: see <see cref="IoRequest.Slack"/>.</summary>
    protected abstract BlockStatus ReadBlocking(long offset, in BlockBuffers into, long start, long length, int slack);

    /// <summary>Writes, waiting as long as it takes. With <see cref="WriteFlags.Fua"/>, calls <see cref="Fail"/> where durability was asked for in vain.</summary>
    protected abstract BlockStatus WriteBlocking(long offset, in BlockBuffers from, long start, long length, WriteFlags flags);

    /// <summary>One flush at a time calls this.</summary>
    protected abstract BlockStatus FlushCore();

    protected abstract BlockStatus SetLengthCore(long length);

    protected abstract BlockStatus PunchHoleCore(long offset, long length);

    protected abstract StorageRun MapCore(long offset, long length);

    /// <summary>The content is durable already. Calls <see cref="Fail"/> where the name could be given but not made durable.</summary>
    protected abstract BlockStatus RenameCore(string newFullPath, out bool isRenamed);

    /// <summary>Bytes of the file now, as the system says; -1 where it cannot.</summary>
    protected abstract long QueryLength();

    protected abstract long? QueryAllocatedBytes();

    /// <summary>Called once, before the handle is closed.</summary>
    protected abstract void ReleaseLocks();

    /// <summary>What should be durable is not: no change is made from now on.</summary>
    protected BlockStatus Fail() => _flushes.Fail();

    protected sealed override BlockStatus AfterWrite(long end, WriteFlags flags, BlockStatus status)
    {
        if (end > Length)
        {
            RefreshLength();
        }

        // Another thread's sync may have been told of an error that concerns these bytes.
        return status == BlockStatus.Ok && (flags & WriteFlags.Fua) != 0 && _flushes.HasFailed ? BlockStatus.IoError : status;
    }

    protected BlockStatus Flush()
    {
        if (Handle.IsClosed)
        {
            return BlockStatus.Closed;
        }

        if (!Traits.CanWrite)
        {
            return BlockStatus.Ok;
        }

        try
        {
            return _flushes.Run();
        }
        catch (ObjectDisposedException)
        {
            return BlockStatus.Closed;
        }
    }

    private BlockStatus SetLength(long length)
    {
        if (RefuseChange(Handle.IsClosed ? BlockStatus.Closed : BlockStatus.Ok) is var refusal and not BlockStatus.Ok)
        {
            return refusal;
        }

        if (length < 0)
        {
            return BlockStatus.OutOfRange;
        }

        if (Traits.IsBlockDevice)
        {
            return length == Length ? BlockStatus.Ok : BlockStatus.Unsupported;
        }

        lock (_lengthLock)
        {
            // Lowered before the file is cut: a write that extends it again afterwards must see that it did.
            Volatile.Write(ref _length, Math.Min(_length, length));
            try
            {
                return SetLengthCore(length);
            }
            catch (ObjectDisposedException)
            {
                return BlockStatus.Closed;
            }
            finally
            {
                RefreshLength();
            }
        }
    }

    private BlockStatus PunchHole(long offset, long length)
    {
        if (RefuseChange(Handle.IsClosed ? BlockStatus.Closed : BlockStatus.Ok) is var refusal and not BlockStatus.Ok)
        {
            return refusal;
        }

        if (!IsInside(offset, length))
        {
            return BlockStatus.OutOfRange;
        }

        try
        {
            return length == 0 ? BlockStatus.Ok : PunchHoleCore(offset, length);
        }
        catch (ObjectDisposedException)
        {
            return BlockStatus.Closed;
        }
    }

    private BlockStatus Rename(string newName)
    {
        if (Traits.IsBlockDevice)
        {
            return BlockStatus.Unsupported;
        }

        if (RefuseChange(Handle.IsClosed ? BlockStatus.Closed : BlockStatus.Ok) is var refusal and not BlockStatus.Ok)
        {
            return refusal;
        }

        if (newName.Length == 0 || newName.Contains('\0'))
        {
            return BlockStatus.IoError;
        }

        if (Flush() is var flushed and not BlockStatus.Ok)
        {
            return flushed;
        }

        lock (_nameLock)
        {
            var newFullPath = MakeAbsolute(newName);
            try
            {
                var status = RenameCore(newFullPath, out var isRenamed);
                if (isRenamed)
                {
                    _name = newName;
                    FullPath = newFullPath;
                }

                return status;
            }
            catch (ObjectDisposedException)
            {
                return BlockStatus.Closed;
            }
        }
    }

    private protected BlockStatus RefuseChange(BlockStatus refusal) =>
        refusal != BlockStatus.Ok ? refusal
        : !Traits.CanWrite || _flushes.HasFailed ? BlockStatus.ReadOnly
        : BlockStatus.Ok;

    // On Unix ".." stays, for behind a symbolic link only the kernel knows where it leads.
    private static string MakeAbsolute(string name) =>
        OperatingSystem.IsWindows() ? Path.GetFullPath(name) : Path.IsPathRooted(name) ? name : Path.Combine(Environment.CurrentDirectory, name);

    private static void CheckMemory(in BlockBuffers memory, long start, long length)
    {
        if ((ulong)start > (ulong)memory.Length || (ulong)length > (ulong)(memory.Length - start))
        {
            throw new ArgumentOutOfRangeException(nameof(start), $"{length} bytes at {start} do not lie inside a request of {memory.Length} bytes.");
        }
    }

    private protected bool IsInside(long offset, long length)
    {
        var end = Length;
        return (ulong)offset <= (ulong)end && (ulong)length <= (ulong)(end - offset);
    }

    private void RefreshLength()
    {
        lock (_lengthLock)
        {
            try
            {
                if (QueryLength() is var length and >= 0)
                {
                    Volatile.Write(ref _length, length);
                }
            }
            catch (ObjectDisposedException)
            {
                // Closed meanwhile: the last length stands.
            }
        }
    }
}
