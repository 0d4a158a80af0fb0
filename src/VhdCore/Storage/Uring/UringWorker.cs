using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage.Linux;

namespace VhdCore.Storage.Uring;

/// <summary>
/// One ring and the thread that alone touches it. Requests from other threads come through a list that they push onto, and an eventfd that wakes the
/// thread when it sleeps in the kernel; those that its own continuations make go straight into the next call, which submits and waits at once.
/// </summary>
internal sealed unsafe class UringWorker : IDisposable
{
    /// <summary>Requests that the kernel holds at most; more wait in the queue.</summary>
    public const int MaxInFlight = 256;

    private const uint SubmissionEntries = 256;
    private const uint CompletionEntries = 1024; // requests, cancellations and the wake-up, with room to spare
    private const int MaxCancelsInFlight = 256;
    private const int MaxRuns = 64; // of one request at a time; the kernel takes 1024
    private const int EventFdCloseOnExec = 0x8_0000;
    private const ulong WakeTicket = ulong.MaxValue;
    private const ulong CancelTicket = ulong.MaxValue - 1;

    [ThreadStatic]
    private static UringWorker? _current;

    private readonly UringEngine _engine;
    private readonly int _firstFlagSet;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _isReady = new();
    private readonly IoRequest _closed; // the inbox, once nothing more is taken
    private readonly ConcurrentQueue<(IoRequest Request, short Version)> _cancels = new();
    private readonly IoRequest?[] _slots = new IoRequest?[MaxInFlight];
    private readonly int[] _freeSlots = new int[MaxInFlight];
    private readonly SafeFileHandle _wake; // an eventfd; the handle keeps its number from another use while somebody is about to write to it
    private IoVec* _runs; // MaxRuns for each slot: the kernel has copied them when the call returns, but they are prepared before it
    private ulong* _wakeCount;
    private UringRing? _ring;
    private IoRequest? _inbox; // newest first
    private IoRequest? _first; // queue of those that wait for room
    private IoRequest? _last;
    private int _freeCount = MaxInFlight;
    private int _held;
    private int _cancelsInFlight;
    private uint _generation;
    private int _isSleeping;
    private volatile bool _isStopping;

    /// <param name="engine">Whose worker it is.</param>
    /// <param name="errno">Why there is no ring; 0 when there is.</param>
    /// <param name="firstFlagSet">For tests; see <see cref="UringRing.TryCreate"/>.</param>
    public UringWorker(UringEngine engine, out int errno, int firstFlagSet = 0)
    {
        _engine = engine;
        _firstFlagSet = firstFlagSet;
        _closed = IoRequest.Rent(null!, IoKind.Read, 0, 0);
        for (var i = 0; i < MaxInFlight; i++)
        {
            _freeSlots[i] = MaxInFlight - 1 - i;
        }

        _wake = new SafeFileHandle(UringCalls.EventFd(0, EventFdCloseOnExec), ownsHandle: true);
        if (_wake.IsInvalid)
        {
            StartError = errno = Marshal.GetLastPInvokeError();
            _thread = Thread.CurrentThread;
            return;
        }

        // Safety: freed by the thread when it ends, after the last request.
        _runs = (IoVec*)NativeMemory.Alloc(MaxInFlight * MaxRuns, (nuint)sizeof(IoVec));
        _wakeCount = (ulong*)NativeMemory.AllocZeroed(sizeof(ulong));
        _thread = new Thread(Run) { IsBackground = true, Name = "vhdkit ring" };
        _thread.Start();
        _isReady.Wait();
        errno = StartError;
        if (errno != 0)
        {
            _thread.Join();
        }
    }

    /// <summary>The worker whose thread this is.</summary>
    public static UringWorker? Current => _current;

    /// <summary>The engine that it belongs to.</summary>
    public UringEngine Engine => _engine;

    /// <summary>The flags of its ring.</summary>
    public uint SetupFlags { get; private set; }

    private int StartError { get; set; }

    /// <inheritdoc cref="IoEngine.TrySubmit"/>
    public bool TrySubmit(IoRequest request)
    {
        if (Interlocked.Increment(ref _held) > IoEngine.MaxHeld)
        {
            Interlocked.Decrement(ref _held);
            return false;
        }

        if (_current == this)
        {
            if (_isStopping)
            {
                Interlocked.Decrement(ref _held);
                return false;
            }

            Enqueue(request);
            return true;
        }

        var head = Volatile.Read(ref _inbox);
        while (head != _closed)
        {
            request.Next = head;
            var seen = Interlocked.CompareExchange(ref _inbox, request, head);
            if (seen == head)
            {
                WakeIfSleeping();
                return true;
            }

            head = seen;
        }

        request.Next = null;
        Interlocked.Decrement(ref _held);
        return false;
    }

    /// <inheritdoc cref="IoEngine.Cancel"/>
    public void Cancel(IoRequest request, short version)
    {
        _cancels.Enqueue((request, version));
        Wake(); // also where it waits for room, and would not look at its inbox
    }

    /// <summary>Takes no more, ends what it has, and returns when the thread is gone.</summary>
    public void Dispose()
    {
        _isStopping = true;
        WakeIfSleeping();
        if (_current != this && StartError == 0)
        {
            _thread.Join();
            _isReady.Dispose();
        }
    }

    private void WakeIfSleeping()
    {
        // A full fence, as in Sleep: either the worker sees what was pushed, or this sees that it sleeps.
        if (Interlocked.Exchange(ref _isSleeping, 0) != 0)
        {
            Wake();
        }
    }

    private void Wake()
    {
        var one = 1UL;
        try
        {
            // Safety: eight bytes that outlive the call. It fails only when the count would overflow, and then the worker is awake.
            _ = UringCalls.Write(_wake, &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // The worker has ended.
        }
    }

    private void Run()
    {
        _ring = UringRing.TryCreate(SubmissionEntries, CompletionEntries, out var errno, _firstFlagSet);
        StartError = _ring is null ? errno : 0;
        SetupFlags = _ring?.SetupFlags ?? 0;
        _current = this;
        _isReady.Set();
        if (_ring is not null)
        {
            PrepareWake(_ring);
            while (!TryEnd())
            {
                TakeInbox();
                TakeCancels(_ring);
                Submit(_ring);
                Enter(_ring);
                Reap(_ring);
            }

            EndWake(_ring);
            _ring.Dispose();
        }

        _wake.Dispose();

        // Safety: the kernel has nothing in flight any more.
        NativeMemory.Free(_runs);
        NativeMemory.Free(_wakeCount);
        _runs = null;
        _wakeCount = null;
    }

    /// <summary>Whether all is done and nothing more can come.</summary>
    private bool TryEnd()
    {
        if (!_isStopping || _first is not null || _freeCount < MaxInFlight || _cancelsInFlight > 0)
        {
            return false;
        }

        // From here on nothing can be pushed.
        return Interlocked.CompareExchange(ref _inbox, _closed, null) is null;
    }

    private void Enqueue(IoRequest request)
    {
        request.Next = null;
        if (_last is null)
        {
            _first = request;
        }
        else
        {
            _last.Next = request;
        }

        _last = request;
    }

    private void TakeInbox()
    {
        if (Volatile.Read(ref _inbox) is null)
        {
            return;
        }

        // Newest first: turn it round.
        var taken = Interlocked.Exchange(ref _inbox, null);
        IoRequest? ordered = null;
        while (taken is not null)
        {
            (taken.Next, ordered, taken) = (ordered, taken, taken.Next);
        }

        while (ordered is not null)
        {
            var next = ordered.Next;
            Enqueue(ordered);
            ordered = next;
        }
    }

    private void TakeCancels(UringRing ring)
    {
        while (_cancelsInFlight < MaxCancelsInFlight && _cancels.TryPeek(out var cancel))
        {
            if (cancel.Request.Version == cancel.Version && cancel.Request.Ticket is var ticket and not 0 && IsHeldHere(cancel.Request, ticket))
            {
                if (!ring.TryPrepare(out var submission))
                {
                    return;
                }

                // Safety: the entry is this thread's until Enter.
                submission->Operation = UringConstants.OperationAsyncCancel;
                submission->Descriptor = -1;
                submission->Address = (nint)ticket;
                submission->UserData = CancelTicket;
                _cancelsInFlight++;
            }

            _cancels.TryDequeue(out _);
        }
    }

    private bool IsHeldHere(IoRequest request, ulong ticket) => (uint)ticket < MaxInFlight && _slots[(uint)ticket] == request;

    private void Submit(UringRing ring)
    {
        while (_first is { } request)
        {
            if (request.IsCancelRequested)
            {
                Dequeue();
                End(request, BlockStatus.Cancelled);
                continue;
            }

            if (_freeCount == 0 || !ring.TryPrepare(out var submission))
            {
                return;
            }

            Dequeue();
            var slot = _freeSlots[--_freeCount];
            _slots[slot] = request;
            request.Ticket = ((ulong)(++_generation | 0x8000_0000) << 32) | (uint)slot;
            Fill(submission, request, slot);
            _engine.Tamper?.Invoke(request, ref *submission);
        }
    }

    private void Dequeue()
    {
        var request = _first!;
        _first = request.Next;
        _last = _first is null ? null : _last;
        request.Next = null;
    }

    // Safety: the entry is this thread's until Enter, and the runs are the slot's until the request's completion. The request's memory is the caller's to keep until then.
    private void Fill(UringSubmission* submission, IoRequest request, int slot)
    {
        var runs = _runs + (slot * MaxRuns);
        var left = Math.Min(request.Length + request.Slack - request.Moved, LinuxCalls.MaxTransfer);
        var (count, _) = request.Buffers.Describe(request.Start + request.Moved, left, new Span<IoVec>(runs, MaxRuns));
        var isRead = request.Kind == IoKind.Read;
        if (count == 1)
        {
            submission->Operation = isRead ? UringConstants.OperationRead : UringConstants.OperationWrite;
            submission->Address = runs->Address;
            submission->Length = (uint)runs->Length;
        }
        else
        {
            submission->Operation = isRead ? UringConstants.OperationReadV : UringConstants.OperationWriteV;
            submission->Address = (nint)runs;
            submission->Length = (uint)count;
        }

        submission->Descriptor = request.Target.Descriptor;
        submission->Offset = request.Offset + request.Moved;
        submission->ReadWriteFlags = (request.Flags & WriteFlags.Fua) != 0 ? LinuxCalls.RWF_DSYNC : 0;
        submission->Flags = request.MustWait ? UringConstants.SqeAsync : (byte)0;
        submission->UserData = request.Ticket;
    }

    private void PrepareWake(UringRing ring)
    {
        if (!ring.TryPrepare(out var submission))
        {
            throw new UnreachableException("A ring that was just entered has room.");
        }

        // Safety: the entry is this thread's until Enter; the eight bytes are kept until the read has ended.
        submission->Operation = UringConstants.OperationRead;
        submission->Descriptor = (int)_wake.DangerousGetHandle();
        submission->Address = (nint)_wakeCount;
        submission->Length = sizeof(ulong);
        submission->UserData = WakeTicket;
    }

    /// <summary>Waits until the kernel has let go of the wake-up's memory.</summary>
    private void EndWake(UringRing ring)
    {
        Wake();
        while (true)
        {
            while (ring.TryComplete(out var completion))
            {
                if (completion.UserData == WakeTicket)
                {
                    return;
                }
            }

            EnterRing(ring, minimumCompletions: 1);
        }
    }

    private void Enter(UringRing ring)
    {
        uint wait = 0;
        if (_freeCount == 0)
        {
            wait = 1; // nothing can be done before something ends
        }
        else if (_first is null)
        {
            Interlocked.Exchange(ref _isSleeping, 1); // a full fence; see WakeIfSleeping
            var isIdle = _freeCount == MaxInFlight && _cancelsInFlight == 0;
            wait = Volatile.Read(ref _inbox) is null && _cancels.IsEmpty && !(_isStopping && isIdle) ? 1u : 0u;
        }

        EnterRing(ring, wait);
        Volatile.Write(ref _isSleeping, 0);
    }

    private static void EnterRing(UringRing ring, uint minimumCompletions)
    {
        if (ring.Enter(minimumCompletions) is var errno and not (0 or LinuxErrors.EINTR or LinuxErrors.EAGAIN or LinuxErrors.EBUSY))
        {
            throw new UnreachableException($"io_uring_enter failed: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).");
        }
    }

    private void Reap(UringRing ring)
    {
        while (ring.TryComplete(out var completion))
        {
            switch (completion.UserData)
            {
                case WakeTicket:
                    PrepareWake(ring);
                    break;

                case CancelTicket:
                    _cancelsInFlight--;
                    break;

                default:
                    var slot = (uint)completion.UserData;
                    var request = _slots[slot]!;
                    Debug.Assert(request.Ticket == completion.UserData, "A completion is of the request that has its slot.");
                    _slots[slot] = null;
                    request.Ticket = 0;
                    _freeSlots[_freeCount++] = (int)slot;
                    Take(request, completion.Result);
                    break;
            }
        }
    }

    /// <summary>What one completion means: the request's end, or another round for the rest of it.</summary>
    private void Take(IoRequest request, int result)
    {
        if (result > 0)
        {
            request.Moved += result;
            if (request.Moved >= request.Length)
            {
                End(request, BlockStatus.Ok);
                return;
            }

            Enqueue(request);
            return;
        }

        switch (-result)
        {
            case 0:
                // Of a read: the file was cut beneath us. Of a write: no progress, and no reason given.
                End(request, request.Kind == IoKind.Read ? BlockStatus.OutOfRange : BlockStatus.IoError);
                break;

            case LinuxErrors.ECANCELED when request.IsCancelRequested:
                End(request, BlockStatus.Cancelled);
                break;

            case LinuxErrors.EINTR or LinuxErrors.EAGAIN or LinuxErrors.ECANCELED:
                request.MustWait = true;
                Enqueue(request);
                break;

            default:
                if (request.Target.Judge(request, -result) is { } status)
                {
                    End(request, status);
                }
                else
                {
                    Interlocked.Decrement(ref _held);
                    _engine.RunOnThread(request);
                }

                break;
        }
    }

    private void End(IoRequest request, BlockStatus status)
    {
        Interlocked.Decrement(ref _held);
        request.Complete(status);
    }
}
