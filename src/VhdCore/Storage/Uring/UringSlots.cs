using System.Diagnostics;
using System.Runtime.InteropServices;
using VhdCore.Primitives;
using VhdCore.Storage.Linux;

namespace VhdCore.Storage.Uring;

/// <summary>
/// The requests that the kernel has, a numbered slot each. A request's ticket is its slot's number and a generation, so that an answer, or a wish to cancel, never
/// meets another request that has come into the slot since.
/// </summary>
internal sealed unsafe class UringSlots : IDisposable
{
    /// <summary>Requests that the kernel holds at most.</summary>
    public const int Count = 256;

    private const int MaxRuns = 64; // of one request at a time; the kernel takes 1024

    private readonly IoRequest?[] _requests = new IoRequest?[Count];
    private readonly int[] _free = new int[Count];
    private IoVec* _runs; // MaxRuns for each slot: the kernel has copied them when the call returns, but they are prepared before it
    private int _freeCount = Count;
    private uint _generation;

    public UringSlots()
    {
        // Safety: freed in Dispose, after the last request.
        _runs = (IoVec*)NativeMemory.Alloc(Count * MaxRuns, (nuint)sizeof(IoVec));
        for (var i = 0; i < Count; i++)
        {
            _free[i] = Count - 1 - i;
        }
    }

    public bool IsFull => _freeCount == 0;

    public bool IsEmpty => _freeCount == Count;

    /// <summary>Gives a request a slot, of which one is free, and describes to the kernel what is left of it.</summary>
    public void Put(IoRequest request, UringSubmission* submission)
    {
        var slot = _free[--_freeCount];
        _requests[slot] = request;
        request.Ticket = ((ulong)(++_generation | 0x8000_0000) << 32) | (uint)slot;
        Describe(request, submission, _runs + (slot * MaxRuns));
    }

    /// <summary>Frees the slot of a request that the kernel has let go of.</summary>
    public IoRequest Remove(ulong ticket)
    {
        var slot = (uint)ticket;
        var request = _requests[slot]!;
        Debug.Assert(request.Ticket == ticket, "A completion is of the request that has its slot.");
        _requests[slot] = null;
        _free[_freeCount++] = (int)slot;
        request.Ticket = 0;
        return request;
    }

    /// <summary>Whether a request, which may be anywhere, has a slot here.</summary>
    public bool Holds(IoRequest request, ulong ticket) => (uint)ticket < Count && _requests[(uint)ticket] == request;

    public void Dispose()
    {
        // Safety: the kernel has nothing in flight any more.
        NativeMemory.Free(_runs);
        _runs = null;
    }

    // Safety: the entry is this thread's until Enter, and the runs are the slot's until the request's completion. The request's memory is the caller's to keep until then.
    private static void Describe(IoRequest request, UringSubmission* submission, IoVec* runs)
    {
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
}
