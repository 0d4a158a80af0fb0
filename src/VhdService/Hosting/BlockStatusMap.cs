using VhdCore.Errors;
using VhdService.Scsi;

namespace VhdService.Hosting;

/// <summary>The one place where a device's answer becomes what a frontend tells its client.</summary>
internal static class BlockStatusMap
{
    // Linux errno values (errno-base.h, errno.h). NBD's errors are the same numbers for the ones it knows, whatever the server runs on.
    private const int Eperm = 1;
    private const int Eio = 5;
    private const int Einval = 22;
    private const int Enospc = 28;
    private const int Erofs = 30;
    private const int Eopnotsupp = 95;
    private const int Eshutdown = 108;
    private const int Ecanceled = 125;

    /// <summary>A positive Linux errno; 0 for <see cref="BlockStatus.Ok"/>.</summary>
    public static int ToErrno(BlockStatus status) => status switch
    {
        BlockStatus.Ok => 0,
        BlockStatus.OutOfRange => Einval,
        BlockStatus.ReadOnly => Erofs,
        BlockStatus.NoSpace => Enospc,
        BlockStatus.Unsupported => Eopnotsupp,
        BlockStatus.Cancelled => Ecanceled,
        BlockStatus.Closed => Eshutdown,
        _ => Eio, // the medium or the image is bad; a status of a later version as well
    };

    /// <summary>An NBD error value (NBD protocol, "Error values"); 0 for <see cref="BlockStatus.Ok"/>.</summary>
    /// <param name="status">What the device answered.</param>
    /// <param name="isWrite">The request was one that writes: the protocol wants ENOSPC, not EINVAL, for those behind the end.</param>
    public static uint ToNbdError(BlockStatus status, bool isWrite) => status switch
    {
        BlockStatus.Ok => 0,
        BlockStatus.OutOfRange => isWrite ? (uint)Enospc : Einval,
        BlockStatus.ReadOnly => Eperm,
        BlockStatus.NoSpace => Enospc,
        BlockStatus.Unsupported => Eopnotsupp,
        BlockStatus.Closed => Eshutdown,
        _ => Eio, // NBD has no word for a cancelled request
    };

    /// <summary>SCSI sense (SPC-3, table 28); none for <see cref="BlockStatus.Ok"/>.</summary>
    /// <param name="status">What the device answered.</param>
    /// <param name="isWrite">The command was one that writes: its medium errors are others.</param>
    public static ScsiSense ToSense(BlockStatus status, bool isWrite) => status switch
    {
        BlockStatus.Ok => ScsiSense.None,
        BlockStatus.OutOfRange => ScsiSense.LbaOutOfRange, // the disk has shrunk since the command was judged
        BlockStatus.ReadOnly => ScsiSense.WriteProtected,
        BlockStatus.NoSpace => ScsiSense.SpaceAllocationFailed,
        BlockStatus.Unsupported => ScsiSense.InternalTargetFailure,
        BlockStatus.Cancelled => ScsiSense.Aborted,
        BlockStatus.Closed => ScsiSense.NotReady,
        _ => isWrite ? ScsiSense.WriteError : ScsiSense.UnrecoveredReadError,
    };
}
