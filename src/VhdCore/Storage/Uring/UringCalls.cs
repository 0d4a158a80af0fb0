using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VhdCore.Storage.Uring;

/// <summary>The system calls of io_uring, by number: the C library has no names for them. The numbers are the same on every architecture.</summary>
internal static unsafe partial class UringCalls
{
    private const nint SetupNumber = 425;
    private const nint EnterNumber = 426;
    private const nint RegisterNumber = 427;

    /// <summary>Where a mapping failed, in place of an address.</summary>
    public static readonly nint MapFailed = -1;

    /// <returns>The ring's descriptor, or -1 with errno.</returns>
    public static int Setup(uint entries, UringParameters* parameters) => (int)Call(SetupNumber, (nint)entries, (nint)parameters, 0, 0, 0, 0);

    /// <returns>How many submissions were taken, or -1 with errno.</returns>
    public static int Enter(int ring, uint submissions, uint minimumCompletions, uint flags) =>
        (int)Call(EnterNumber, ring, (nint)submissions, (nint)minimumCompletions, (nint)flags, 0, 0);

    /// <returns>Not below 0, or -1 with errno.</returns>
    public static int Register(int ring, uint operation, void* argument, uint count) =>
        (int)Call(RegisterNumber, ring, (nint)operation, (nint)argument, (nint)count, 0, 0);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(SafeFileHandle file, void* buffer, nint count);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    // C's variadic function takes its arguments in registers on every 64-bit Linux, as this declaration does.
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Call(nint number, nint a, nint b, nint c, nint d, nint e, nint f);
}
