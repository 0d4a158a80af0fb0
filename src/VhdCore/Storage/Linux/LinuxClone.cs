using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;

namespace VhdCore.Storage.Linux;

/// <summary>FICLONERANGE, and copy_file_range where a file server does the copying.</summary>
internal static class LinuxClone
{
    public static BlockStatus Run(SafeFileHandle source, long sourceOffset, SafeFileHandle target, long targetOffset, long length)
    {
        var errno = Share(source, sourceOffset, target, targetOffset, length);
        if (errno == 0)
        {
            return BlockStatus.Ok;
        }

        // Where the kernel would copy by itself, a loop of our own does as well and finds zeros too.
        return LinuxErrors.ToStatus(errno) == BlockStatus.NoSpace ? BlockStatus.NoSpace
            : LinuxFileSystem.CopiesFarAway(LinuxFileSystem.TypeOf(target)) && Copy(source, sourceOffset, target, targetOffset, length) ? BlockStatus.Ok
            : BlockStatus.Unsupported;
    }

    /// <returns>0, or errno.</returns>
    private static unsafe int Share(SafeFileHandle source, long sourceOffset, SafeFileHandle target, long targetOffset, long length)
    {
        var added = false;
        try
        {
            source.DangerousAddRef(ref added);
            var range = new LinuxCalls.CloneRange
            {
                SourceDescriptor = source.DangerousGetHandle(),
                SourceOffset = sourceOffset,
                SourceLength = length,
                TargetOffset = targetOffset,
            };
            while (true)
            {
                // Safety: the kernel reads one struct file_clone_range, which outlives the call; the source's descriptor is kept open by the reference.
                if (LinuxCalls.IoCtl(target, LinuxCalls.FICLONERANGE, &range) == 0)
                {
                    return 0;
                }

                var errno = Marshal.GetLastPInvokeError();
                if (errno != LinuxErrors.EINTR)
                {
                    return errno;
                }
            }
        }
        finally
        {
            if (added)
            {
                source.DangerousRelease();
            }
        }
    }

    private static unsafe bool Copy(SafeFileHandle source, long sourceOffset, SafeFileHandle target, long targetOffset, long length)
    {
        while (length > 0)
        {
            nint moved;
            try
            {
                // Safety: the kernel reads and writes the two offsets, which outlive the call.
                moved = LinuxCalls.CopyFileRange(source, &sourceOffset, target, &targetOffset, (nint)Math.Min(length, LinuxCalls.MaxTransfer), 0);
            }
            catch (EntryPointNotFoundException)
            {
                return false;
            }

            if (moved > 0)
            {
                length -= moved;
            }
            else if (moved == 0 || Marshal.GetLastPInvokeError() != LinuxErrors.EINTR)
            {
                return false;
            }
        }

        return true;
    }
}
