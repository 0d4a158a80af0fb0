using System.Runtime.InteropServices;
using VhdCore.Errors;

namespace VhdCore.Storage.Linux;

/// <summary>What errno means here. The numbers are those of every Linux architecture that .NET runs on.</summary>
internal static class LinuxErrors
{
    public const int EPERM = 1;
    public const int ENOENT = 2;
    public const int EINTR = 4;
    public const int EIO = 5;
    public const int ENXIO = 6;
    public const int EBADF = 9;
    public const int EAGAIN = 11;
    public const int ENOMEM = 12;
    public const int EACCES = 13;
    public const int EBUSY = 16;
    public const int EEXIST = 17;
    public const int ENOTDIR = 20;
    public const int EISDIR = 21;
    public const int EINVAL = 22;
    public const int EFBIG = 27;
    public const int ENOSPC = 28;
    public const int EROFS = 30;
    public const int ENAMETOOLONG = 36;
    public const int ENOLCK = 37;
    public const int ENOSYS = 38;
    public const int ELOOP = 40;
    public const int EOPNOTSUPP = 95;
    public const int EDQUOT = 122;
    public const int ECANCELED = 125;

    /// <summary>The status of a request that ended with <paramref name="errno"/>; 0 is success.</summary>
    public static BlockStatus ToStatus(int errno) => errno switch
    {
        0 => BlockStatus.Ok,
        ENOSPC or EDQUOT or EFBIG => BlockStatus.NoSpace,
        EROFS or EBADF or EPERM => BlockStatus.ReadOnly,
        _ => BlockStatus.IoError,
    };

    /// <summary>The call or one of its options is not to be had on this file or kernel.</summary>
    public static bool IsUnsupported(int errno) => errno is EOPNOTSUPP or ENOSYS or EINVAL;

    /// <summary>Why <paramref name="name"/> could not be opened.</summary>
    public static StorageException OpenFailed(string name, int errno, StorageOpenOptions options)
    {
        var reason = errno switch
        {
            ENOENT or ENOTDIR when options.CreateNew => "cannot be created: its folder does not exist. Create the folder first.",
            ENOENT or ENOTDIR => "does not exist. Check the spelling, and that the folder is mounted.",
            EEXIST => "exists already. Choose another name, or remove it first.",
            EISDIR => "is a folder, not an image. Name a file in it.",
            EACCES or EPERM when options.Access == StorageAccess.ReadWrite => "may not be written: permission denied. Check the owner and mode of the file and of its folders.",
            EACCES or EPERM => "may not be read: permission denied. Check the owner and mode of the file and of its folders.",
            EROFS => "is on a read-only file system. Open it for reading, or remount the file system.",
            ENAMETOOLONG => "cannot be opened: the name is too long.",
            ELOOP => "cannot be opened: its symbolic links lead round in a circle.",
            ENOSPC or EDQUOT => "cannot be created: no space is left. Free some and try again.",
            _ => $"cannot be opened: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).",
        };
        return new StorageException($"'{name}' {reason}", name, status: ToStatus(errno));
    }
}
