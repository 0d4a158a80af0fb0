using System.Runtime.InteropServices;

namespace VhdCli;

/// <summary>Exit codes, those of qemu-img where it has them.</summary>
internal static class ExitCode
{
    public const int Ok = 0;
    public const int Error = 1;

    public const int CompareDiffers = 1;
    public const int CompareOpenFailed = 2;
    public const int CompareReadFailed = 4;

    public const int CheckFailed = 1;
    public const int CheckCorrupt = 2;
    public const int CheckLeaks = 3;
    public const int CheckUnsupported = 63;

    /// <summary>Ended by a signal; as shells show SIGINT.</summary>
    public const int Interrupted = 128 + 2;

    /// <summary>What a shell shows for a process that the signal ended.</summary>
    public static int OfSignal(PosixSignal signal) => signal switch
    {
        PosixSignal.SIGHUP => 128 + 1,
        PosixSignal.SIGTERM => 128 + 15,
        _ => Interrupted,
    };
}
