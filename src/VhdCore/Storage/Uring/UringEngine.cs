using System.Runtime.InteropServices;
using VhdCore.Errors;
using VhdCore.Storage.Linux;

namespace VhdCore.Storage.Uring;

/// <summary>Rings, one a thread, for reads and writes; threads that wait for everything else.</summary>
internal sealed class UringEngine : IoEngine
{
    private const int MaxWorkers = 4;

    private readonly Lock _startLock = new();
    private readonly UringWorker?[] _workers;
    private readonly ThreadEngine _threads = new();
    private readonly int _firstFlagSet;
    private int _hasFailedToGrow;

    private UringEngine(int workers, int firstFlagSet)
    {
        _workers = new UringWorker?[workers];
        _firstFlagSet = firstFlagSet;
    }

    /// <summary>Changes an entry before the kernel sees it.</summary>
    public delegate void SubmissionChange(IoRequest request, ref UringSubmission submission);

    public override string Description => $"io_uring ({_workers.Length} {(_workers.Length == 1 ? "ring" : "rings")}, setup flags 0x{_workers[0]!.SetupFlags:X})";

    /// <summary>For tests: faults.</summary>
    public SubmissionChange? Tamper { get; set; }

    /// <summary>Starts an engine.</summary>
    /// <param name="reason">Why there is none; for people.</param>
    /// <param name="workers">Rings; 0 for as many as suit the machine.</param>
    /// <param name="firstFlagSet">For tests; see <see cref="UringRing.TryCreate"/>.</param>
    public static UringEngine? TryStart(out string reason, int workers = 0, int firstFlagSet = 0)
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            reason = "io_uring is 64-bit Linux' own";
            return null;
        }

        var engine = new UringEngine(workers > 0 ? workers : Math.Clamp(Environment.ProcessorCount / 2, 1, MaxWorkers), firstFlagSet);
        if (engine.StartWorker(0, out var errno) is not null)
        {
            reason = "";
            return engine;
        }

        reason = errno switch
        {
            LinuxErrors.ENOSYS => "the kernel has no io_uring, or a container's seccomp profile hides it (ENOSYS)",
            LinuxErrors.EPERM => "io_uring is forbidden, by a container's seccomp profile or by sysctl kernel.io_uring_disabled (EPERM)",
            LinuxErrors.ENOMEM => "there is no memory to be locked for a ring: raise 'ulimit -l' (ENOMEM)",
            LinuxErrors.EOPNOTSUPP => "the kernel's io_uring is too old: Linux 5.6 is the first that suffices",
            _ => $"io_uring_setup failed: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})",
        };
        return null;
    }

    public override bool TrySubmit(IoRequest request)
    {
        if (request.IsBlocking || request.Kind is not (IoKind.Read or IoKind.Write))
        {
            return _threads.TrySubmit(request);
        }

        // On a worker's own thread, no other need be woken.
        return UringWorker.Current is { } current && current.Engine == this ? current.TrySubmit(request) : WorkerOf(request).TrySubmit(request);
    }

    public override void Cancel(IoRequest request, short version)
    {
        foreach (var worker in _workers)
        {
            worker?.Cancel(request, version); // only that which has it takes notice
        }
    }

    /// <summary>Has a thread do what a ring could not.</summary>
    public void RunOnThread(IoRequest request)
    {
        if (!_threads.TrySubmit(request))
        {
            request.Complete(BlockStatus.IoError);
        }
    }

    protected override void Dispose(bool isDisposing)
    {
        foreach (var worker in _workers)
        {
            worker?.Dispose();
        }

        _threads.Dispose();
    }

    private UringWorker WorkerOf(IoRequest request)
    {
        // A file's requests go to one ring.
        var index = (int)((uint)request.Target.Descriptor % (uint)_workers.Length);
        return Volatile.Read(ref _workers[index]) ?? (_hasFailedToGrow == 0 ? StartWorker(index, out _) : null) ?? _workers[0]!;
    }

    private UringWorker? StartWorker(int index, out int errno)
    {
        errno = 0;
        lock (_startLock)
        {
            if (_workers[index] is { } started)
            {
                return started;
            }

            var worker = new UringWorker(this, out errno, _firstFlagSet);
            if (errno != 0)
            {
                _hasFailedToGrow = 1;
                return null;
            }

            Volatile.Write(ref _workers[index], worker);
            return worker;
        }
    }
}
