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
