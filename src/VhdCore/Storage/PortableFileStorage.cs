using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Storage;

/// <summary>
/// A file through .NET's own positional calls, for Windows and macOS. It punches no holes, knows of none, and takes no block devices. Share
/// modes are its locks; on Unix .NET makes them of <c>flock</c>, where a writer keeps out even readers that would go ahead.
/// A rename is atomic, but on Windows there is no call here that makes a name durable: after a power cut the old one may be back.
/// </summary>
internal sealed class PortableFileStorage : FileStorage
{
    private const int WindowsSharingViolation = unchecked((int)0x8007_0020);
    private const int WindowsDiskFull = unchecked((int)0x8007_0070);
    private const int WindowsHandleDiskFull = unchecked((int)0x8007_0027);
    private const int WindowsWriteProtected = unchecked((int)0x8007_0013);

    private PortableFileStorage(string name, SafeFileHandle handle, long length, StorageTraits traits, StorageOpenOptions options)
        : base(name, handle, length, traits, options)
    {
    }

    public static PortableFileStorage OpenFile(string name, StorageOpenOptions options)
    {
        var canWrite = options.Access == StorageAccess.ReadWrite;
        try
        {
            if (Directory.Exists(name))
            {
                throw new StorageException($"'{name}' is a folder, not an image. Name a file in it.", name);
            }

            var handle = File.OpenHandle(
                name,
                options.CreateNew ? FileMode.CreateNew : FileMode.Open,
                canWrite ? FileAccess.ReadWrite : FileAccess.Read,
                Share(options),
                Options(options));
            try
            {
                if (!OperatingSystem.IsWindows() && options is { CreateNew: true, TemporaryFor: { } later } && File.Exists(later))
                {
                    File.SetUnixFileMode(handle, File.GetUnixFileMode(later));
                }

                return new PortableFileStorage(name, handle, RandomAccess.GetLength(handle), new StorageTraits { CanWrite = canWrite }, options);
            }
            catch
            {
                handle.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is not ImageException && IsSystemError(e))
        {
            throw OpenFailed(name, options, e);
        }
    }

    // There is no call that is sure not to wait.
    protected override long TryReadCore(long offset, in BlockBuffers into, long start, long length) => 0;

    protected override ValueTask<BlockStatus> ReadCoreAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken) =>
        Waits == CallerWaits.ForMedium
            ? new(ReadBlocking(offset, in into, start, length, slack: 0))
            : MoveAsync(IoKind.Read, offset, into, start, length, WriteFlags.None, cancellationToken);

    protected override ValueTask<BlockStatus> WriteCoreAsync(
        long offset, BlockBuffers from, long start, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        Waits == CallerWaits.ForMedium || (Waits == CallerWaits.ForMemory && (flags & WriteFlags.Fua) == 0)
            ? new(AfterWrite(offset + length, flags, WriteBlocking(offset, in from, start, length, flags)))
            : MoveAsync(IoKind.Write, offset, from, start, length, flags, cancellationToken);

    protected override BlockStatus ReadBlocking(long offset, in BlockBuffers into, long start, long length, int slack)
    {
        try
        {
            while (length > 0)
            {
                var moved = RandomAccess.Read(Handle, into.SpanAt(start, length), offset);
                if (moved == 0)
                {
                    return BlockStatus.OutOfRange; // the file was cut beneath us
                }

                offset += moved;
                start += moved;
                length -= moved;
            }

            return BlockStatus.Ok;
        }
        catch (Exception e) when (IsSystemError(e))
        {
            return ToStatus(e);
        }
    }

    protected override BlockStatus WriteBlocking(long offset, in BlockBuffers from, long start, long length, WriteFlags flags)
    {
        try
        {
            while (length > 0)
            {
                var run = from.SpanAt(start, length);
                RandomAccess.Write(Handle, run, offset);
                offset += run.Length;
                start += run.Length;
                length -= run.Length;
            }
        }
        catch (Exception e) when (IsSystemError(e))
        {
            return ToStatus(e);
        }

        return (flags & WriteFlags.Fua) != 0 ? Flush() : BlockStatus.Ok;
    }

    protected override BlockStatus FlushCore()
    {
        if (!OperatingSystem.IsWindows())
        {
            return UnixSync.Flush(Handle) ? BlockStatus.Ok : BlockStatus.IoError;
        }

        try
        {
            RandomAccess.FlushToDisk(Handle);
            return BlockStatus.Ok;
        }
        catch (Exception e) when (IsSystemError(e))
        {
            return BlockStatus.IoError;
        }
    }

    protected override BlockStatus SetLengthCore(long length)
    {
        try
        {
            RandomAccess.SetLength(Handle, length);
            return BlockStatus.Ok;
        }
        catch (Exception e) when (IsSystemError(e))
        {
            return ToStatus(e);
        }
    }

    protected override BlockStatus PunchHoleCore(long offset, long length) => BlockStatus.Unsupported;

    protected override StorageRun MapCore(long offset, long length) => new(IsHole: false, length);

    protected override BlockStatus RenameCore(string newFullPath, out bool isRenamed)
    {
        isRenamed = false;
        try
        {
            File.Move(FullPath, newFullPath, overwrite: true);
            isRenamed = true;
            return OperatingSystem.IsWindows() || UnixSync.FlushFolderOf(newFullPath) ? BlockStatus.Ok : Fail();
        }
        catch (Exception e) when (IsSystemError(e))
        {
            return ToStatus(e);
        }
    }

    protected override long QueryLength()
    {
        try
        {
            return RandomAccess.GetLength(Handle);
        }
        catch (Exception e) when (IsSystemError(e))
        {
            return -1;
        }
    }

    protected override long? QueryAllocatedBytes() => null;

    protected override void ReleaseLocks()
    {
        // Share modes end with the handle.
    }

    // Windows gives a request to its completion port only for a handle that was opened so; elsewhere the flag means nothing.
    private static FileOptions Options(StorageOpenOptions options) =>
        FileOptions.RandomAccess | (options.Io.Waits == CallerWaits.ForMedium ? FileOptions.None : FileOptions.Asynchronous);

    // Windows: what a reader or writer lets others do. Unix: None is an exclusive flock, all else a shared one.
    private static FileShare Share(StorageOpenOptions options) =>
        options.Sharing == StorageSharing.Force ? FileShare.ReadWrite | FileShare.Delete
        : options.Access == StorageAccess.ReadWrite && !OperatingSystem.IsWindows() ? FileShare.None
        : FileShare.Read | FileShare.Delete;

    /// <summary>A read or write that the system completes: overlapped on Windows, by the runtime's thread pool elsewhere.</summary>
    private async ValueTask<BlockStatus> MoveAsync(
        IoKind kind, long offset, BlockBuffers buffers, long start, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (!TryEnter())
        {
            return BlockStatus.Closed;
        }

        var end = offset + length;
        try
        {
            while (length > 0)
            {
                var run = NativeRun.Of(in buffers, start, length);
                var moved = kind == IoKind.Read ? await RandomAccess.ReadAsync(Handle, run.Memory, offset, cancellationToken).ConfigureAwait(false) : run.Length;
                if (kind == IoKind.Write)
                {
                    await RandomAccess.WriteAsync(Handle, run.Memory, offset, cancellationToken).ConfigureAwait(false);
                }

                if (moved == 0)
                {
                    return BlockStatus.OutOfRange; // the file was cut beneath us
                }

                offset += moved;
                start += moved;
                length -= moved;
            }

            return kind == IoKind.Read ? BlockStatus.Ok
                : AfterWrite(end, flags, (flags & WriteFlags.Fua) != 0 ? await FlushAsync(cancellationToken).ConfigureAwait(false) : BlockStatus.Ok);
        }
        catch (OperationCanceledException)
        {
            return BlockStatus.Cancelled; // the system has let go of the memory
        }
        catch (Exception e) when (IsSystemError(e))
        {
            return kind == IoKind.Read ? ToStatus(e) : AfterWrite(end, flags, ToStatus(e));
        }
        finally
        {
            Exit();
        }
    }

    private static bool IsSystemError(Exception e) => e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException;

    private static BlockStatus ToStatus(Exception e) => e switch
    {
        UnauthorizedAccessException => BlockStatus.ReadOnly,
        ArgumentOutOfRangeException => BlockStatus.NoSpace, // how .NET says EFBIG
        IOException { HResult: WindowsDiskFull or WindowsHandleDiskFull } => BlockStatus.NoSpace,
        IOException { HResult: WindowsWriteProtected } => BlockStatus.ReadOnly,
        IOException when !OperatingSystem.IsWindows() => UnixStatus(e.HResult),
        _ => BlockStatus.IoError,
    };

    // HResult holds errno on Unix. ENOSPC, EFBIG and EROFS are alike on Linux and macOS; EDQUOT is 122 and 69.
    private static BlockStatus UnixStatus(int errno) => errno switch
    {
        28 or 27 => BlockStatus.NoSpace,
        122 when OperatingSystem.IsLinux() => BlockStatus.NoSpace,
        69 when OperatingSystem.IsMacOS() => BlockStatus.NoSpace,
        30 => BlockStatus.ReadOnly,
        _ => BlockStatus.IoError,
    };

    private static ImageException OpenFailed(string name, StorageOpenOptions options, Exception e)
    {
        var isForWriting = options.Access == StorageAccess.ReadWrite;
        if (e is IOException && (e.HResult == WindowsSharingViolation || (!OperatingSystem.IsWindows() && e.HResult is 11 or 35)))
        {
            return new ImageInUseException(
                $"'{name}' is in use by {(isForWriting ? "a reader or writer" : "a writer")} that excludes others, so it cannot be opened for " +
                $"{(isForWriting ? "writing" : "reading")}. Close it there and try again.",
                name, e);
        }

        var reason = e switch
        {
            FileNotFoundException => "does not exist. Check the spelling, and that the folder is mounted.",
            DirectoryNotFoundException when options.CreateNew => "cannot be created: its folder does not exist. Create the folder first.",
            DirectoryNotFoundException => "does not exist. Check the spelling, and that the folder is mounted.",
            PathTooLongException => "cannot be opened: the name is too long.",
            UnauthorizedAccessException when isForWriting => "may not be written: permission denied. Check the rights to the file and its folders.",
            UnauthorizedAccessException => "may not be read: permission denied. Check the rights to the file and its folders.",
            _ when options.CreateNew && File.Exists(name) => "exists already. Choose another name, or remove it first.",
            _ => $"cannot be opened: {e.Message}",
        };
        return new StorageException($"'{name}' {reason}", name, status: ToStatus(e), inner: e);
    }
}
