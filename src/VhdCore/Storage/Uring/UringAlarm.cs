using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VhdCore.Storage.Uring;

/// <summary>Wakes a worker that sleeps in the kernel: an eventfd of which its ring always has a read under way.</summary>
internal sealed unsafe class UringAlarm : IDisposable
{
    /// <summary>Marks the completion of that read.</summary>
    public const ulong Ticket = ulong.MaxValue;

    private const int EventFdCloseOnExec = 0x8_0000;

    private readonly SafeFileHandle _event; // the handle keeps its number from another use while somebody is about to write to it
    private ulong* _count; // where the ring reads it to
    private int _isSleeping;

    private UringAlarm(SafeFileHandle handle)
    {
        _event = handle;

        // Safety: freed in Dispose, when the ring has let go of it.
        _count = (ulong*)NativeMemory.AllocZeroed(sizeof(ulong));
    }

    /// <returns>Null where the system has no descriptor left; then <paramref name="errno"/> says so.</returns>
    public static UringAlarm? TryCreate(out int errno)
    {
        var handle = new SafeFileHandle(UringCalls.EventFd(0, EventFdCloseOnExec), ownsHandle: true);
        errno = handle.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        return handle.IsInvalid ? null : new UringAlarm(handle);
    }

    /// <summary>Wakes the worker whatever it does. Any thread.</summary>
    public void Raise()
    {
        var one = 1UL;
        try
        {
            // Safety: eight bytes that outlive the call. It fails only when the count would overflow, and then the worker is awake.
            _ = UringCalls.Write(_event, &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // The worker has ended.
        }
    }

    /// <summary>Wakes the worker if it sleeps, or is about to. Any thread, after it has made what the worker is to see.</summary>
    public void RaiseIfAsleep()
    {
        // A full fence, as in FallAsleep: either the worker sees what was made, or this sees that it sleeps.
        if (Interlocked.Exchange(ref _isSleeping, 0) != 0)
        {
            Raise();
        }
    }

    /// <summary>The worker is about to sleep. It looks for work once more after this, and before it does.</summary>
    public void FallAsleep() => Interlocked.Exchange(ref _isSleeping, 1);

    /// <summary>The worker is back.</summary>
    public void WakeUp() => Volatile.Write(ref _isSleeping, 0);

    /// <summary>Has the ring read the eventfd, with its next <see cref="UringRing.Enter"/>.</summary>
    public void Arm(UringRing ring)
    {
        if (!ring.TryPrepare(out var submission))
        {
            throw new UnreachableException("A ring that was just entered has room.");
        }

        // Safety: the entry is this thread's until Enter; the eight bytes are kept until the read has ended.
        submission->Operation = UringConstants.OperationRead;
        submission->Descriptor = (int)_event.DangerousGetHandle();
        submission->Address = (nint)_count;
        submission->Length = sizeof(ulong);
        submission->UserData = Ticket;
    }

    /// <summary>Waits until the kernel has let go of the read's memory. Nothing else is in flight.</summary>
    public void Disarm(UringRing ring)
    {
        Raise();
        while (true)
        {
            while (ring.TryComplete(out var completion))
            {
                if (completion.UserData == Ticket)
                {
                    return;
                }
            }

            ring.EnterOrThrow(minimumCompletions: 1);
        }
    }

    public void Dispose()
    {
        _event.Dispose();

        // Safety: no ring reads into it any more.
        NativeMemory.Free(_count);
        _count = null;
    }
}
