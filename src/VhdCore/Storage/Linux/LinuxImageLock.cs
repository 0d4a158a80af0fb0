using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;

namespace VhdCore.Storage.Linux;

/// <summary>
/// QEMU's image locks, byte for byte, so that each side refuses what the other holds (QEMU: <c>docs/system/qemu-block-drivers</c>, "Disk image
/// file locking"). They are open file description locks: they belong to the open file, not to the process, and end when it is closed.
/// </summary>
/// <remarks>
/// There are four permissions. Whoever uses one read-locks the byte 100 + its number, and whoever does not share one read-locks the byte
/// 200 + its number. Read locks never conflict; a use is refused because of what a probe for a write lock then finds others to hold. Both sides
/// lock first and probe then, so of two that come at once at least one sees the other.
/// </remarks>
internal static class LinuxImageLock
{
    private const int UsedByte = 100;
    private const int NotSharedByte = 200;
    private const int PermissionCount = 4;

    [Flags]
    private enum Permissions
    {
        None = 0,
        ConsistentRead = 1 << 0,
        Write = 1 << 1,
        WriteUnchanged = 1 << 2, // never used here; a writer excludes it by excluding Write
        Resize = 1 << 3,
    }

    private enum Outcome
    {
        Free,
        Held,
        NotToBeHad,
    }

    /// <summary>Takes the locks of a reader or writer; on file systems without such locks, none.</summary>
    /// <returns>False where there are none.</returns>
    /// <exception cref="ImageInUseException">Someone holds what this excludes, or excludes this.</exception>
    public static bool Acquire(SafeFileHandle file, string name, StorageAccess access)
    {
        var used = access == StorageAccess.ReadWrite
            ? Permissions.ConsistentRead | Permissions.Write | Permissions.Resize
            : Permissions.ConsistentRead;
        const Permissions notShared = Permissions.Write | Permissions.Resize;

        if (!Hold(file, name, access, UsedByte, used) || !Hold(file, name, access, NotSharedByte, notShared))
        {
            return false;
        }

        if (IsHeldByOthers(file, NotSharedByte, used) || IsHeldByOthers(file, UsedByte, notShared))
        {
            throw InUse(name, access, IsHeldByOthers(file, UsedByte, Permissions.Write | Permissions.Resize) ? "a writer" : "a reader that excludes writers");
        }

        return true;
    }

    /// <summary>Gives up all that <see cref="Acquire"/> took, at once even where a child process still shares the open file.</summary>
    public static void Release(SafeFileHandle file) =>
        _ = Call(file, LinuxCalls.F_OFD_SETLK, LinuxCalls.Flock.Unlock, UsedByte, NotSharedByte + PermissionCount - UsedByte);

    /// <returns>False where the file system has no such locks.</returns>
    private static bool Hold(SafeFileHandle file, string name, StorageAccess access, int firstByte, Permissions permissions)
    {
        for (var i = 0; i < PermissionCount; i++)
        {
            if (!permissions.HasFlag((Permissions)(1 << i)))
            {
                continue;
            }

            switch (Call(file, LinuxCalls.F_OFD_SETLK, LinuxCalls.Flock.ReadLock, firstByte + i, 1))
            {
                case Outcome.Held:
                    throw InUse(name, access, "a program that locks the whole file");
                case Outcome.NotToBeHad:
                    return false;
            }
        }

        return true;
    }

    private static bool IsHeldByOthers(SafeFileHandle file, int firstByte, Permissions permissions)
    {
        for (var i = 0; i < PermissionCount; i++)
        {
            if (permissions.HasFlag((Permissions)(1 << i))
                && Call(file, LinuxCalls.F_OFD_GETLK, LinuxCalls.Flock.WriteLock, firstByte + i, 1) == Outcome.Held)
            {
                return true;
            }
        }

        return false;
    }

    private static unsafe Outcome Call(SafeFileHandle file, int command, short type, int start, int length)
    {
        var range = new LinuxCalls.Flock { Type = type, Start = start, Length = length };
        // Safety: the kernel reads and writes one struct flock, which outlives the call.
        if (LinuxCalls.FCntl(file, command, &range) != 0)
        {
            return Marshal.GetLastPInvokeError() is LinuxErrors.EAGAIN or LinuxErrors.EACCES ? Outcome.Held : Outcome.NotToBeHad;
        }

        return command == LinuxCalls.F_OFD_GETLK && range.Type != LinuxCalls.Flock.Unlock ? Outcome.Held : Outcome.Free;
    }

    private static ImageInUseException InUse(string name, StorageAccess access, string holder) => new(
        $"'{name}' is in use by {holder}, so it cannot be opened for {(access == StorageAccess.ReadWrite ? "writing" : "reading")}. " +
        "Close it there (a running virtual machine, perhaps)" +
        (access == StorageAccess.ReadWrite ? " and try again." : " and try again, or read it without locks (-U), which may show torn content."),
        name);
}
