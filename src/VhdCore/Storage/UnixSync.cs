using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VhdCore.Storage;

/// <summary>
/// Durability on any Unix. RandomAccess.FlushToDisk will not do: seen with .NET 10.0.12 on Linux, it returns without an exception when fsync has
/// failed, with EIO, ENOSPC and EDQUOT alike.
/// </summary>
internal static partial class UnixSync
{
    // macOS: fsync leaves the bytes in the drive's cache. Takes no argument, so the call is the same for C's variadic function.
    private const int F_FULLFSYNC = 51;
    private const int EINTR = 4;

    /// <summary>Makes a file's content and length durable.</summary>
    public static bool Flush(SafeFileHandle file)
    {
        if (OperatingSystem.IsMacOS() && FCntl(file, F_FULLFSYNC) == 0)
        {
            return true;
        }

        int result;
        do
        {
            result = FSync(file);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == EINTR);
        return result == 0;
    }

    /// <summary>Makes the names in the folder of <paramref name="path"/> durable.</summary>
    public static bool FlushFolderOf(string path)
    {
        var descriptor = Open(Path.GetDirectoryName(path) ?? "/", flags: 0); // O_RDONLY everywhere
        if (descriptor < 0)
        {
            return false;
        }

        using var folder = new SafeFileHandle(descriptor, ownsHandle: true);
        return FSync(folder) == 0;
    }

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FCntl(SafeFileHandle file, int command);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
