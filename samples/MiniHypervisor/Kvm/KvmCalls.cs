using System.ComponentModel;
using System.Runtime.InteropServices;

namespace MiniHypervisor.Kvm;

/// <summary>The kernel's interface: requests on three kinds of file descriptor (Documentation/virt/kvm/api.rst).</summary>
internal static unsafe partial class KvmCalls
{
    // /dev/kvm
    public const uint GetApiVersion = 0xAE00;
    public const uint CreateVm = 0xAE01;
    public const uint CheckExtension = 0xAE03;
    public const uint GetVcpuMmapSize = 0xAE04;
    public const uint GetSupportedCpuid = 0xC008_AE05;

    // A machine
    public const uint CreateVcpu = 0xAE41;
    public const uint SetUserMemoryRegion = 0x4020_AE46;
    public const uint SetTssAddress = 0xAE47;
    public const uint SetIdentityMapAddress = 0x4008_AE48;
    public const uint CreateIrqChip = 0xAE60;
    public const uint IrqLine = 0x4008_AE61;
    public const uint EnableCapability = 0x4068_AEA3;
    public const uint SignalMsi = 0x4020_AEA5;
    public const uint SetMsrFilter = 0x4188_AEC6;

    // A processor
    public const uint Run = 0xAE80;
    public const uint GetRegisters = 0x8090_AE81;
    public const uint SetRegisters = 0x4090_AE82;
    public const uint GetSpecialRegisters = 0x8138_AE83;
    public const uint SetSpecialRegisters = 0x4138_AE84;
    public const uint SetCpuid = 0x4008_AE90;
    public const uint GetTscKhz = 0xAEA3;

    // Capabilities
    public const int TscDeadlineTimer = 72;
    public const int UserSpaceMsr = 188;
    public const int MsrFilter = 189;

    // errno
    public const int Interrupted = 4;
    public const int TryAgain = 11;

    private const int ReadWriteCloseOnExec = 0x8_0002;

    /// <summary>Opens a device; -1 when that fails.</summary>
    public static int OpenDevice(string path) => Open(path, ReadWriteCloseOnExec);

    /// <summary>A request; negative when it fails, with the reason in the last error.</summary>
    public static int TryCall(int descriptor, uint request, void* argument) => Ioctl(descriptor, request, argument);

    /// <summary>A request that has to succeed.</summary>
    /// <exception cref="InvalidOperationException">It did not.</exception>
    public static int Call(int descriptor, uint request, void* argument, string what)
    {
        var result = Ioctl(descriptor, request, argument);
        if (result < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new InvalidOperationException($"KVM refused {what}: {new Win32Exception(error).Message} (errno {error}).");
        }

        return result;
    }

    /// <inheritdoc cref="Call(int, uint, void*, string)"/>
    public static int Call(int descriptor, uint request, long argument, string what) => Call(descriptor, request, (void*)(nint)argument, what);

    /// <summary>Maps memory shared with a descriptor, or with -1 memory of our own.</summary>
    public static nint Map(int descriptor, nuint length)
    {
        const int ReadWrite = 3;
        const int Shared = 0x01;
        const int PrivateAnonymousNoReserve = 0x4022;
        var address = Mmap(0, length, ReadWrite, descriptor < 0 ? PrivateAnonymousNoReserve : Shared, descriptor, 0);
        if (address == -1)
        {
            throw new InvalidOperationException($"{length} bytes of memory cannot be mapped: {Marshal.GetLastPInvokeErrorMessage()}.");
        }

        return address;
    }

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ioctl(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Mmap(nint address, nuint length, int protection, int flags, int descriptor, long offset);
}
