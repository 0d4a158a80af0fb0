using System.Collections.Concurrent;
using VhdCore.Errors;
using VhdCore.Storage.Linux;

namespace VhdCore.Storage.Uring;

/// <summary>
/// One ring and the thread that alone touches it. Requests from other threads come through the <see cref="UringInbox"/>, and a <see cref="UringAlarm"/> wakes the
/// thread when it sleeps in the kernel; those that its own continuations make go straight into the next call, which submits and waits at once.
/// </summary>
internal sealed unsafe class UringWorker : IDisposable
{
    /// <summary>Requests that the kernel holds at most; more wait in the queue.</summary>
    public const int MaxInFlight = UringSlots.Count;

    private const uint SubmissionEntries = 256;
    private const uint CompletionEntries = 1024; // requests, cancellations and the wake-up, with room to spare
    private const int MaxCancelsInFlight = 256;
    private const int MaxReaped = 2; // before what their callers ask for next is submitted: a disk that is done with everything at hand stands still meanwhile
    private const ulong CancelTicket = UringAlarm.Ticket - 1;

    [ThreadStatic]
    private static UringWorker? _current;

    private readonly UringEngine _engine;
    private readonly int _firstFlagSet;
    private readonly Thread? _thread;
    private readonly ManualResetEventSlim _isReady = new();
    private readonly UringAlarm? _alarm;
    private readonly UringInbox _inbox = new();
    private readonly ConcurrentQueue<(IoRequest Request, short Version)> _cancels = new();
    private readonly UringSlots _slots = new();
    private IoRequestQueue _queue; // of those that wait for room; not readonly: a mutable struct
    private int _held;
    private int _cancelsInFlight;
    private volatile bool _isStopping;

    /// <param name="engine">Whose worker it is.</param>
    /// <param name="errno">Why there is no ring; 0 when there is.</param>
    /// <param name="firstFlagSet">For tests; see <see cref="UringRing.TryCreate"/>.</param>
    public UringWorker(UringEngine engine, out int errno, int firstFlagSet = 0)
    {
        _engine = engine;
        _firstFlagSet = firstFlagSet;
        _alarm = UringAlarm.TryCreate(out errno);
        if (_alarm is null)
        {
            _slots.Dispose();
            return;
        }

        var thread = new Thread(Run) { IsBackground = true, Name = "vhdkit ring" };
        thread.Start();
        _isReady.Wait();
        errno = StartError;
        if (errno == 0)
        {
            _thread = thread;
        }
        else
        {
            thread.Join();
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
        if (Interlocked.Increment(ref _held) <= IoEngine.MaxHeld)
        {
            if (_current == this)
            {
                if (!_isStopping)
                {
                    _queue.Add(request);
                    return true;
                }
            }
            else if (_inbox.TryPush(request))
            {
                _alarm!.RaiseIfAsleep();
                return true;
            }
        }

        Interlocked.Decrement(ref _held);
        return false;
    }

    /// <inheritdoc cref="IoEngine.Cancel"/>
    public void Cancel(IoRequest request, short version)
    {
        _cancels.Enqueue((request, version));
        _alarm!.Raise(); // also where the worker waits for room, and would not look at its inbox
    }

    /// <summary>Takes no more, ends what it has, and returns when the thread is gone.</summary>
    public void Dispose()
    {
        _isStopping = true;
        _alarm?.RaiseIfAsleep();
        if (_thread is not null && _current != this)
        {
            _thread.Join();
            _isReady.Dispose();
        }
    }

    private void Run()
    {
        var ring = UringRing.TryCreate(SubmissionEntries, CompletionEntries, out var errno, _firstFlagSet);
        StartError = ring is null ? errno : 0;
        SetupFlags = ring?.SetupFlags ?? 0;
        _current = this;
        _isReady.Set();
        if (ring is not null)
        {
            Serve(ring);
            ring.Dispose();
        }

        _alarm!.Dispose();
        _slots.Dispose();
    }

    private void Serve(UringRing ring)
    {
        _alarm!.Arm(ring);
        while (!TryEnd())
        {
            _inbox.MoveTo(ref _queue);
            SubmitCancels(ring);
            Submit(ring);
            Enter(ring);
            Reap(ring);
        }

        _alarm.Disarm(ring);
    }

    /// <summary>Whether all is done and nothing more can come.</summary>
    private bool TryEnd() => _isStopping && _queue.IsEmpty && _slots.IsEmpty && _cancelsInFlight == 0 && _inbox.TryClose();

    private void SubmitCancels(UringRing ring)
    {
        while (_cancelsInFlight < MaxCancelsInFlight && _cancels.TryPeek(out var cancel))
        {
            if (cancel.Request.Version == cancel.Version && cancel.Request.Ticket is var ticket and not 0 && _slots.Holds(cancel.Request, ticket))
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

    private void Submit(UringRing ring)
    {
        while (_queue.First is { } request)
        {
            if (request.IsCancelRequested)
            {
                End(_queue.Take(), BlockStatus.Cancelled);
                continue;
            }

            if (_slots.IsFull || !ring.TryPrepare(out var submission))
            {
                return;
            }

            _slots.Put(_queue.Take(), submission);
            _engine.Tamper?.Invoke(request, ref *submission);
        }
    }

    private void Enter(UringRing ring)
    {
        uint wait = 0;
        if (_slots.IsFull)
        {
            wait = 1; // nothing can be done before something ends
        }
        else if (_queue.IsEmpty)
        {
            _alarm!.FallAsleep();
            var isIdle = _slots.IsEmpty && _cancelsInFlight == 0;
            wait = _inbox.IsEmpty && _cancels.IsEmpty && !(_isStopping && isIdle) ? 1u : 0u;
        }

        ring.EnterOrThrow(wait);
        _alarm!.WakeUp();
    }

    private void Reap(UringRing ring)
    {
        for (var i = 0; i < MaxReaped && ring.TryComplete(out var completion); i++)
        {
            switch (completion.UserData)
            {
                case UringAlarm.Ticket:
                    _alarm!.Arm(ring);
                    break;

                case CancelTicket:
                    _cancelsInFlight--;
                    break;

                default:
                    Take(_slots.Remove(completion.UserData), completion.Result);
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

            _queue.Add(request);
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
                _queue.Add(request);
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
