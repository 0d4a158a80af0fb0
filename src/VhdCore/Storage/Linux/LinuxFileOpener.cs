using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;

namespace VhdCore.Storage.Linux;

/// <summary>From a name to a file or block device that may be used, or to the reason why not.</summary>
internal static class LinuxFileOpener
{
    private const int MaxAttempts = 16; // at a name that is replaced again and again

    /// <summary>Opens or creates, and locks.</summary>
    /// <exception cref="StorageException">It cannot be opened; the message says why.</exception>
    /// <exception cref="ImageInUseException">A lock excludes this use.</exception>
    public static LinuxFileStorage Open(string name, StorageOpenOptions options)
    {
        for (var attempt = 1; ; attempt++)
        {
            // Asked first: opening a pipe, a tape or a watchdog has effects of its own.
            if (!options.CreateNew)
            {
                RefuseOtherKinds(name, TryDescribe(name, out var named) ? named : throw LinuxErrors.OpenFailed(name, Marshal.GetLastPInvokeError(), options));
            }

            if (options is { CreateNew: true, TemporaryFor: { } later })
            {
                TemporaryNames.RemoveAbandoned(later);
            }

            var handle = OpenHandle(name, options);
            try
            {
                TakePermissions(name, handle, options);
                var about = DescribeHandle(name, handle, options);
                RefuseOtherKinds(name, about);
                var isDirect = SetFlags(name, handle, options);
                if (options.Sharing == StorageSharing.Default)
                {
                    LinuxImageLock.Acquire(handle, name, options.Access);
                }

                if (options is { CreateNew: true, TemporaryFor: not null } && !(TryDescribe(name, out var created) && created.IsSameFile(about)))
                {
                    throw new ImageInUseException($"'{name}' was taken for an abandoned file, and removed, before it could be locked. Try again.", name);
                }

                // Another file may have been renamed over this one before the lock was taken; then the lock is on a file without a name.
                if (attempt == MaxAttempts || options.CreateNew || (TryDescribe(name, out var current) && current.IsSameFile(about)))
                {
                    return FromHandle(name, handle, about, isDirect, options);
                }
            }
            catch
            {
                handle.Dispose();
                throw;
            }

            handle.Dispose();
        }
    }

    /// <summary>Removes a file, unless somebody has it open, or the file system has no locks to tell.</summary>
    /// <remarks>
    /// The locks are held until the name is gone. Whoever makes a file has its name before its locks, so that this can come between: it looks for its name once it has the locks.
    /// </remarks>
    public static void RemoveUnlessInUse(string name)
    {
        if (!TryDescribe(name, out var named) || !named.IsRegularFile)
        {
            return;
        }

        try
        {
            using var handle = OpenHandle(name, StorageOpenOptions.ForWriting);
            if (LinuxImageLock.Acquire(handle, name, StorageAccess.ReadWrite)
                && TryDescribe(name, out var current) && current.IsSameFile(DescribeHandle(name, handle, StorageOpenOptions.ForWriting)))
            {
                File.Delete(name);
            }
        }
        catch (ImageException)
        {
            // A conversion that is under way, or nothing that we may touch.
        }
    }

    /// <summary>Whether there is a file or block device of that name.</summary>
    public static bool Exists(string name) => TryDescribe(name, out var about) && (about.IsRegularFile || about.IsBlockDevice);

    /// <summary>Whether a file may take the name: nothing has it, or another file or a link to one. A device, socket or pipe is nobody's to replace, though root could.</summary>
    public static bool MayBeReplaced(string name) => !TryDescribe(name, out var about) || about.IsRegularFile;

    private static SafeFileHandle OpenHandle(string name, StorageOpenOptions options)
    {
        var flags = (options.Access == StorageAccess.ReadWrite ? LinuxCalls.O_RDWR : LinuxCalls.O_RDONLY)
            | LinuxCalls.O_CLOEXEC | LinuxCalls.O_NOCTTY | LinuxCalls.O_NONBLOCK
            | (options.CreateNew ? LinuxCalls.O_CREAT | LinuxCalls.O_EXCL : 0);
        int descriptor;
        do
        {
            descriptor = LinuxCalls.Open(name, flags, WillReplace(options) ? 0x180U : 0x1B6U); // 0600; 0666, less the umask
        }
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == LinuxErrors.EINTR);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw LinuxErrors.OpenFailed(name, Marshal.GetLastPInvokeError(), options);
    }

    private static bool WillReplace(StorageOpenOptions options) => options is { CreateNew: true, TemporaryFor: { } later } && TryDescribe(later, out _);

    // What will replace a file is its maker's alone until it has that file's permissions.
    private static void TakePermissions(string name, SafeFileHandle handle, StorageOpenOptions options)
    {
        if (options is not { CreateNew: true, TemporaryFor: { } later })
        {
            return;
        }

        const UnixFileMode Permissions = (UnixFileMode)0x1FF; // 0777
        try
        {
            if (!OperatingSystem.IsWindows() && TryDescribe(later, out var replaced))
            {
                File.SetUnixFileMode(handle, (UnixFileMode)replaced.Mode & Permissions);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            File.Delete(name);
            throw new StorageException($"'{name}': the permissions of '{later}' cannot be given to it: {e.Message}", name, inner: e);
        }
    }

    private static unsafe LinuxCalls.StatXBuffer DescribeHandle(string name, SafeFileHandle handle, StorageOpenOptions options)
    {
        LinuxCalls.StatXBuffer about;
        // Safety: the kernel fills one struct statx, which outlives the call.
        return LinuxCalls.StatX(handle, "", LinuxCalls.AT_EMPTY_PATH, LinuxCalls.STATX_BASIC_STATS | LinuxCalls.STATX_DIOALIGN, &about) == 0
            ? about
            : throw LinuxErrors.OpenFailed(name, Marshal.GetLastPInvokeError(), options);
    }

    private static LinuxFileStorage FromHandle(string name, SafeFileHandle handle, in LinuxCalls.StatXBuffer about, bool isDirect, StorageOpenOptions options)
    {
        // After the lock: nobody changes it any more.
        var length = LinuxCalls.LSeek(handle, 0, LinuxCalls.SEEK_END);
        if (length < 0)
        {
            throw LinuxErrors.OpenFailed(name, Marshal.GetLastPInvokeError(), options);
        }

        var fileSystem = LinuxFileSystem.TypeOf(handle);
        var canWrite = options.Access == StorageAccess.ReadWrite;
        var traits = new StorageTraits
        {
            CanWrite = canWrite,
            IsBlockDevice = about.IsBlockDevice,
            ExtensionReadsZeros = !about.IsBlockDevice && (!canWrite || LinuxFileSystem.ExtensionReadsZeros(fileSystem, about.DeviceMajor, about.DeviceMinor)),
        };
        return isDirect
            ? new DirectFileStorage(name, handle, length, traits, options, DirectAlignment.Of(about))
            : new LinuxFileStorage(name, handle, length, traits, options, about.IsRegularFile && LinuxFileSystem.IsMemory(fileSystem));
    }

    // O_NONBLOCK was for the opening only. A file system in memory takes O_DIRECT and then does as always.
    private static bool SetFlags(string name, SafeFileHandle handle, StorageOpenOptions options)
    {
        var isDirect = options.Io.Cache == StorageCache.None && !LinuxFileSystem.IsMemory(LinuxFileSystem.TypeOf(handle));
        if (LinuxCalls.FCntl(handle, LinuxCalls.F_SETFL, isDirect ? LinuxCalls.O_DIRECT : 0) != 0 && isDirect)
        {
            throw new StorageException(
                $"'{name}' cannot be used without the page cache: its file system has no direct I/O ({Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}). " +
                "Open it with cache mode 'writeback'.",
                name);
        }

        return isDirect;
    }

    private static unsafe bool TryDescribe(string name, out LinuxCalls.StatXBuffer about)
    {
        LinuxCalls.StatXBuffer buffer;
        // Safety: the kernel fills one struct statx, which outlives the call.
        var isThere = LinuxCalls.StatX(LinuxCalls.AT_FDCWD, name, flags: 0, LinuxCalls.STATX_BASIC_STATS, &buffer) == 0;
        about = isThere ? buffer : default;
        return isThere;
    }

    private static void RefuseOtherKinds(string name, in LinuxCalls.StatXBuffer about)
    {
        if (!about.IsRegularFile && !about.IsBlockDevice)
        {
            throw new StorageException(
                about.IsFolder
                    ? $"'{name}' is a folder, not an image. Name a file in it."
                    : $"'{name}' is neither a file nor a block device, but perhaps a pipe, a socket or a terminal. Name a file.",
                name);
        }
    }
}
