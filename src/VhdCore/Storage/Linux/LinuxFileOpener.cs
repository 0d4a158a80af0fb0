using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;

namespace VhdCore.Storage.Linux;

/// <summary>From a name to a file or block device that may be used, or to the reason why not.</summary>
internal static class LinuxFileOpener
{
    /// <summary>Opens or creates, and locks.</summary>
    /// <exception cref="StorageException">It cannot be opened; the message says why.</exception>
    /// <exception cref="ImageInUseException">A lock excludes this use.</exception>
    public static LinuxFileStorage Open(string name, StorageOpenOptions options)
    {
        // Asked first: opening a pipe, a tape or a watchdog has effects of its own.
        if (!options.CreateNew)
        {
            RefuseOtherKinds(name, TryDescribe(name, flags: 0, out var about) ? about : throw LinuxErrors.OpenFailed(name, Marshal.GetLastPInvokeError(), options));
        }

        var canWrite = options.Access == StorageAccess.ReadWrite;
        var flags = (canWrite ? LinuxCalls.O_RDWR : LinuxCalls.O_RDONLY) | LinuxCalls.O_CLOEXEC | LinuxCalls.O_NOCTTY | LinuxCalls.O_NONBLOCK
            | (options.CreateNew ? LinuxCalls.O_CREAT | LinuxCalls.O_EXCL : 0);
        int descriptor;
        do
        {
            descriptor = LinuxCalls.Open(name, flags, mode: 0x1B6); // 0666, less the umask
        }
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == LinuxErrors.EINTR);
        if (descriptor < 0)
        {
            throw LinuxErrors.OpenFailed(name, Marshal.GetLastPInvokeError(), options);
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            return FromHandle(name, handle, options);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Whether there is a file or block device of that name.</summary>
    public static bool Exists(string name) => TryDescribe(name, flags: 0, out var about) && (about.IsRegularFile || about.IsBlockDevice);

    /// <summary>Whether a rename may put a file there: nothing is, or a file or link. A device's or pipe's name would be lost.</summary>
    public static bool MayBeReplaced(string name) =>
        !TryDescribe(name, LinuxCalls.AT_SYMLINK_NOFOLLOW, out var about) || about.IsRegularFile || about.IsLink;

    private static unsafe LinuxFileStorage FromHandle(string name, SafeFileHandle handle, StorageOpenOptions options)
    {
        LinuxCalls.StatXBuffer about;
        // Safety: the kernel fills one struct statx, which outlives the call.
        if (LinuxCalls.StatX(handle, "", LinuxCalls.AT_EMPTY_PATH, LinuxCalls.STATX_BASIC_STATS, &about) != 0)
        {
            throw LinuxErrors.OpenFailed(name, Marshal.GetLastPInvokeError(), options);
        }

        RefuseOtherKinds(name, about);
        _ = LinuxCalls.FCntl(handle, LinuxCalls.F_SETFL, 0); // O_NONBLOCK was for the opening only
        if (options.Sharing == StorageSharing.Default)
        {
            LinuxImageLock.Acquire(handle, name, options.Access);
        }

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
        return new LinuxFileStorage(name, handle, length, traits, about.IsRegularFile && LinuxFileSystem.IsMemory(fileSystem), nameIsDurable: !options.CreateNew);
    }

    private static unsafe bool TryDescribe(string name, int flags, out LinuxCalls.StatXBuffer about)
    {
        LinuxCalls.StatXBuffer buffer;
        // Safety: the kernel fills one struct statx, which outlives the call.
        var isThere = LinuxCalls.StatX(LinuxCalls.AT_FDCWD, name, flags, LinuxCalls.STATX_BASIC_STATS, &buffer) == 0;
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
