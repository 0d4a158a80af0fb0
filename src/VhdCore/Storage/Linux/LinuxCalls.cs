using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VhdCore.Primitives;

namespace VhdCore.Storage.Linux;

/// <summary>
/// The system calls that FileStorage makes itself, in the C library's spelling. 64-bit processes only: <c>off_t</c> and <c>size_t</c> are eight
/// bytes. All set errno, read by <see cref="Marshal.GetLastPInvokeError"/>.
/// </summary>
internal static unsafe partial class LinuxCalls
{
    public const int O_RDONLY = 0;
    public const int O_RDWR = 2;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_NOCTTY = 0x100;
    public const int O_NONBLOCK = 0x800;
    public const int O_CLOEXEC = 0x8_0000;

    /// <summary>One of the few flags whose number the architectures do not share.</summary>
    public static readonly int O_DIRECT = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.Arm64 => 0x1_0000,
        Architecture.Ppc64le => 0x2_0000,
        _ => 0x4000,
    };

    public const int SEEK_END = 2;
    public const int SEEK_DATA = 3;
    public const int SEEK_HOLE = 4;

    public const int RWF_DSYNC = 2;
    public const int RWF_NOWAIT = 8;

    public const int FALLOC_FL_KEEP_SIZE = 1;
    public const int FALLOC_FL_PUNCH_HOLE = 2;

    public const uint FICLONERANGE = 0x4020_940D;

    public const int F_SETFL = 4;
    public const int F_OFD_GETLK = 36;
    public const int F_OFD_SETLK = 37;

    public const int AT_FDCWD = -100;
    public const int AT_EMPTY_PATH = 0x1000;
    public const uint STATX_BASIC_STATS = 0x7FF;
    public const uint STATX_DIOALIGN = 0x2000; // Linux 6.1

    // The kernel moves at most this many bytes in one call, whatever is asked (MAX_RW_COUNT).
    public const long MaxTransfer = 0x7FFF_F000;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static partial nint PRead(SafeFileHandle file, nint buffer, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    public static partial nint PWrite(SafeFileHandle file, nint buffer, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "preadv", SetLastError = true)]
    public static partial nint PReadV(SafeFileHandle file, IoVec* segments, int count, long offset);

    [LibraryImport("libc", EntryPoint = "pwritev", SetLastError = true)]
    public static partial nint PWriteV(SafeFileHandle file, IoVec* segments, int count, long offset);

    /// <summary>Missing from C libraries older than glibc 2.26 and musl 1.2.5: may throw <see cref="EntryPointNotFoundException"/>.</summary>
    [LibraryImport("libc", EntryPoint = "preadv2", SetLastError = true)]
    public static partial nint PReadV2(SafeFileHandle file, IoVec* segments, int count, long offset, int flags);

    /// <inheritdoc cref="PReadV2"/>
    [LibraryImport("libc", EntryPoint = "pwritev2", SetLastError = true)]
    public static partial nint PWriteV2(SafeFileHandle file, IoVec* segments, int count, long offset, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int FSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int FDataSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    public static partial int SyncFs(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int FTruncate(SafeFileHandle file, long length);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int FAllocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int IoCtl(SafeFileHandle file, nuint request, CloneRange* argument);

    /// <summary>Missing from C libraries older than glibc 2.27: may throw <see cref="EntryPointNotFoundException"/>.</summary>
    [LibraryImport("libc", EntryPoint = "copy_file_range", SetLastError = true)]
    public static partial nint CopyFileRange(SafeFileHandle source, long* sourceOffset, SafeFileHandle target, long* targetOffset, nint count, uint flags);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    public static partial long LSeek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Rename(string oldPath, string newPath);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int FCntl(SafeFileHandle file, int command, nint argument);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int FCntl(SafeFileHandle file, int command, Flock* argument);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StatX(int folder, string path, int flags, uint mask, StatXBuffer* result);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StatX(SafeFileHandle file, string path, int flags, uint mask, StatXBuffer* result);

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    public static partial int FStatFs(SafeFileHandle file, StatFsBuffer* result);

    /// <summary><c>struct file_clone_range</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct CloneRange
    {
        public long SourceDescriptor;
        public long SourceOffset;
        public long SourceLength;
        public long TargetOffset;
    }

    /// <summary><c>struct flock</c> with 64-bit offsets.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 32)]
    public struct Flock
    {
        public const short ReadLock = 0;
        public const short WriteLock = 1;
        public const short Unlock = 2;

        [FieldOffset(0)]
        public short Type;

        /// <summary>0: <see cref="Start"/> counts from the file's first byte.</summary>
        [FieldOffset(2)]
        public short Whence;

        [FieldOffset(8)]
        public long Start;

        [FieldOffset(16)]
        public long Length;

        /// <summary>0 in every call on open file description locks.</summary>
        [FieldOffset(24)]
        public int ProcessId;
    }

    /// <summary><c>struct statx</c>: the same on every architecture, unlike <c>struct stat</c>.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    public struct StatXBuffer
    {
        private const int TypeMask = 0xF000;

        /// <summary>Which of the fields the kernel filled in.</summary>
        [FieldOffset(0)]
        public uint Mask;

        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        /// <summary>Bytes.</summary>
        [FieldOffset(40)]
        public ulong Size;

        /// <summary>Units of 512 bytes.</summary>
        [FieldOffset(48)]
        public ulong Blocks;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;

        /// <summary>What the address of a direct request's memory must be a multiple of, in bytes; 0 where the file takes none.</summary>
        [FieldOffset(152)]
        public uint DirectMemoryAlignment;

        /// <summary>The same for its offset and length.</summary>
        [FieldOffset(156)]
        public uint DirectOffsetAlignment;

        public readonly bool IsRegularFile => (Mode & TypeMask) == 0x8000;

        public readonly bool IsBlockDevice => (Mode & TypeMask) == 0x6000;

        public readonly bool IsFolder => (Mode & TypeMask) == 0x4000;

        public readonly bool IsSameFile(in StatXBuffer other) => Inode == other.Inode && DeviceMajor == other.DeviceMajor && DeviceMinor == other.DeviceMinor;
    }

    /// <summary><c>struct statfs</c>, of which only the kind of file system is read.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    public struct StatFsBuffer
    {
        [FieldOffset(0)]
        public long Type;
    }
}
