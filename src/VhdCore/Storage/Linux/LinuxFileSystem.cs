using Microsoft.Win32.SafeHandles;

namespace VhdCore.Storage.Linux;

/// <summary>What the file system beneath a file is known to do.</summary>
internal static class LinuxFileSystem
{
    private const long Ext = 0xEF53; // ext2, ext3 and ext4 alike
    private const long Msdos = 0x4D44;
    private const long ExFat = 0x2011_BAB0;
    private const long Tmpfs = 0x0102_1994;
    private const long Ramfs = 0x8584_58F6;
    private const long Xfs = 0x5846_5342;
    private const long Btrfs = 0x9123_683E;
    private const long Bcachefs = 0xCA45_1A4E;
    private const long Ocfs2 = 0x7461_636F;
    private const long Zfs = 0x2FC1_2FC1;
    private const long Overlay = 0x794C_7630;
    private const long Nfs = 0x6969;
    private const long Smb = 0xFF53_4D42;
    private const long Smb2 = 0xFE53_4D42;
    private const long Ceph = 0x00C3_6400;
    private const string MountTable = "/proc/self/mountinfo";

    /// <summary>The kind's magic number; 0 where it cannot be told.</summary>
    public static unsafe long TypeOf(SafeFileHandle file)
    {
        LinuxCalls.StatFsBuffer buffer;
        // Safety: the kernel writes one struct statfs of 120 bytes into a buffer of 256.
        return LinuxCalls.FStatFs(file, &buffer) == 0 ? buffer.Type & 0xFFFF_FFFF : 0;
    }

    /// <summary>Content lives in memory: a read never waits for a device.</summary>
    public static bool IsMemory(long type) => type is Tmpfs or Ramfs;

    /// <summary>Files may share ranges, each with a copy of its own as soon as one is written.</summary>
    public static bool MayShareRanges(long type) => type is Xfs or Btrfs or Bcachefs or Ocfs2 or Zfs or Overlay || CopiesFarAway(type);

    /// <summary>The server copies a range by itself, so that its bytes need not come here and go back.</summary>
    public static bool CopiesFarAway(long type) => type is Nfs or Smb or Smb2 or Ceph;

    /// <summary>
    /// After a power cut, space that a file grew over shows zeros and never what an older file left there. Not so on FAT, on ext2, and on ext4
    /// mounted with <c>data=writeback</c>.
    /// </summary>
    public static bool ExtensionReadsZeros(long type, uint deviceMajor, uint deviceMinor) => type switch
    {
        Msdos or ExFat => false,
        Ext => IsOrderedExt(deviceMajor, deviceMinor),
        _ => true,
    };

    private static bool IsOrderedExt(uint deviceMajor, uint deviceMinor)
    {
        try
        {
            // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue  (man 5 proc)
            var device = $"{deviceMajor}:{deviceMinor}";
            foreach (var line in File.ReadLines(MountTable))
            {
                var fields = line.Split(' ');
                var separator = Array.IndexOf(fields, "-");
                if (fields.Length > 2 && fields[2] == device && separator > 0 && separator + 3 < fields.Length)
                {
                    return fields[separator + 1] != "ext2" && !fields[separator + 3].Split(',').Contains("data=writeback");
                }
            }

            return true; // a mount of another namespace; ordered is the default
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }
}
