using System.Runtime.InteropServices;

namespace VhdCli.Targets;

/// <summary>What a name stands for in the file system.</summary>
internal enum FileKind
{
    /// <summary>Nothing yet.</summary>
    Missing,

    /// <summary>A regular file.</summary>
    Regular,

    /// <summary>A folder.</summary>
    Folder,

    /// <summary>A block device.</summary>
    BlockDevice,

    /// <summary>A pipe, a socket or a character device: bytes go in, in order, and that is all.</summary>
    Stream,
}

/// <summary>What a name stands for, and which file it is, whatever its name. Links are followed.</summary>
internal readonly partial record struct FileIdentity(FileKind Kind, ulong Device, ulong Inode)
{
    private const uint TypeAndInode = 0x1 | 0x100; // STATX_TYPE | STATX_INO
    private const int CurrentFolder = -100; // AT_FDCWD

    /// <summary>Looks a name up.</summary>
    public static FileIdentity Of(string path)
    {
        if (OperatingSystem.IsLinux())
        {
            return OfLinux(path);
        }

        var kind = File.Exists(path) ? FileKind.Regular : Directory.Exists(path) ? FileKind.Folder : FileKind.Missing;
        return new FileIdentity(IsDeviceName(path) && kind != FileKind.Folder ? FileKind.Stream : kind, 0, 0);
    }

    /// <summary>Both names stand for one existing file. Only Linux can tell; elsewhere, compare names.</summary>
    public bool IsSameFileAs(FileIdentity other) => Inode != 0 && this == other;

    private static bool IsDeviceName(string path) =>
        path.StartsWith("/dev/", StringComparison.Ordinal) || path.StartsWith(@"\\.\", StringComparison.Ordinal);

    private static FileIdentity OfLinux(string path)
    {
        // What cannot be looked up is treated as missing: opening or creating it will say why.
        if (StatX(CurrentFolder, path, 0, TypeAndInode, out var about) != 0)
        {
            return default;
        }

        const int TypeMask = 0xF000;
        var kind = (about.Mode & TypeMask) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Folder,
            0x6000 => FileKind.BlockDevice,
            _ => FileKind.Stream,
        };
        return new FileIdentity(kind, ((ulong)about.DeviceMajor << 32) | about.DeviceMinor, about.Inode);
    }

    // Safety: the path is a NUL-ended copy that the marshaller owns, and the kernel writes at most the struct's 256 bytes.
    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, out StatXBuffer about);

    /// <summary><c>struct statx</c>: the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatXBuffer
    {
        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
