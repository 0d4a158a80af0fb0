using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VhdCore.Storage.Linux;

namespace VhdCore.Storage.Uring;

/// <summary>One io_uring: its queues, mapped, and the call that moves both. Used by the thread that created it, and by no other.</summary>
internal sealed unsafe class UringRing : IDisposable
{
    private const int ProtectionReadWrite = 3;
    private const int MapSharedPopulate = 0x8001;
    private const uint RequiredFeatures = UringConstants.FeatureSingleMmap | UringConstants.FeatureNoDrop | UringConstants.FeatureSubmitStable;

    // From what costs least to what every kernel with io_uring has. A kernel refuses flags that it does not know with EINVAL.
    private static readonly uint[] FlagSets =
    [
        UringConstants.SetupSubmitAll | UringConstants.SetupSingleIssuer | UringConstants.SetupDeferTaskRun | UringConstants.SetupNoSqArray,
        UringConstants.SetupSubmitAll | UringConstants.SetupSingleIssuer | UringConstants.SetupDeferTaskRun,
        UringConstants.SetupSubmitAll | UringConstants.SetupCoopTaskRun,
        0,
    ];

    private readonly int _descriptor;
    private readonly nint _queues;
    private readonly nint _queuesLength;
    private readonly UringSubmission* _submissions;
    private readonly nint _submissionsLength;
    private readonly uint* _submissionHead;
    private readonly uint* _submissionTail;
    private readonly uint _submissionMask;
    private readonly uint* _completionHead;
    private readonly uint* _completionTail;
    private readonly uint _completionMask;
    private readonly UringCompletion* _completions;
    private uint _tail; // of submissions: prepared, told to the kernel with the next Enter
    private bool _isDisposed;

    private UringRing(int descriptor, in UringParameters parameters)
    {
        _descriptor = descriptor;
        SetupFlags = parameters.Flags;
        Entries = parameters.SqEntries;
        CompletionEntries = parameters.CqEntries;

        var hasArray = (parameters.Flags & UringConstants.SetupNoSqArray) == 0;
        var submissionEnd = hasArray ? parameters.Sq.Array + (parameters.SqEntries * sizeof(uint)) : 0;
        var completionEnd = parameters.Cq.Cqes + (parameters.CqEntries * (uint)sizeof(UringCompletion));
        _queuesLength = (nint)Math.Max(submissionEnd, completionEnd);
        _submissionsLength = (nint)(parameters.SqEntries * (uint)sizeof(UringSubmission));
        _queues = MapOrThrow(descriptor, _queuesLength, UringConstants.OffsetSqRing);
        try
        {
            _submissions = (UringSubmission*)MapOrThrow(descriptor, _submissionsLength, UringConstants.OffsetSqes);
        }
        catch
        {
            _ = UringCalls.Unmap(_queues, _queuesLength);
            throw;
        }

        // Safety: the kernel gave these offsets for the two mappings, which live until Dispose.
        var queues = (byte*)_queues;
        _submissionHead = (uint*)(queues + parameters.Sq.Head);
        _submissionTail = (uint*)(queues + parameters.Sq.Tail);
        _submissionMask = *(uint*)(queues + parameters.Sq.RingMask);
        _completionHead = (uint*)(queues + parameters.Cq.Head);
        _completionTail = (uint*)(queues + parameters.Cq.Tail);
        _completionMask = *(uint*)(queues + parameters.Cq.RingMask);
        _completions = (UringCompletion*)(queues + parameters.Cq.Cqes);
        _tail = *_submissionTail;
        if (hasArray)
        {
            var indices = (uint*)(queues + parameters.Sq.Array);
            for (uint i = 0; i < parameters.SqEntries; i++)
            {
                indices[i] = i; // entries are used in turn, so what is the n-th never changes
            }
        }
    }

    /// <summary>The flags that the kernel took.</summary>
    public uint SetupFlags { get; }

    /// <summary>Requests that can be prepared between two calls of <see cref="Enter"/>.</summary>
    public uint Entries { get; }

    /// <summary>Completions that have room.</summary>
    public uint CompletionEntries { get; }

    /// <summary>Requests prepared and not yet taken by the kernel.</summary>
    public uint Prepared => _tail - Volatile.Read(ref *_submissionHead);

    /// <summary>Creates a ring with the best flags that the kernel takes.</summary>
    /// <param name="entries">Requests that can be prepared at once; a power of two.</param>
    /// <param name="completions">Completions that must have room; a power of two.</param>
    /// <param name="errno">Why there is none.</param>
    /// <param name="firstFlagSet">For tests: how many of the better sets of flags are passed over.</param>
    /// <returns>The ring; null where the kernel has none for this process.</returns>
    public static UringRing? TryCreate(uint entries, uint completions, out int errno, int firstFlagSet = 0)
    {
        errno = LinuxErrors.EINVAL;
        foreach (var flags in FlagSets.AsSpan(firstFlagSet))
        {
            var parameters = new UringParameters { Flags = flags | UringConstants.SetupCqSize | UringConstants.SetupClamp, CqEntries = completions };

            // Safety: the kernel fills one struct io_uring_params, which outlives the call.
            var descriptor = UringCalls.Setup(entries, &parameters);
            if (descriptor < 0)
            {
                errno = Marshal.GetLastPInvokeError();
                if (errno == LinuxErrors.EINVAL)
                {
                    continue;
                }

                return null;
            }

            try
            {
                if (!IsEnough(descriptor, parameters.Features))
                {
                    errno = LinuxErrors.EOPNOTSUPP;
                    _ = UringCalls.Close(descriptor);
                    return null;
                }

                return new UringRing(descriptor, parameters);
            }
            catch (IOException)
            {
                errno = LinuxErrors.ENOMEM;
                _ = UringCalls.Close(descriptor);
                return null;
            }
        }

        return null;
    }

    /// <summary>Takes the next submission, cleared. The caller fills it in before the next <see cref="Enter"/>.</summary>
    /// <returns>False while <see cref="Entries"/> are prepared already.</returns>
    public bool TryPrepare(out UringSubmission* submission)
    {
        if (Prepared == Entries)
        {
            submission = null;
            return false;
        }

        submission = _submissions + (_tail & _submissionMask);
        *submission = default;
        _tail++;
        return true;
    }

    /// <summary>Hands over what is prepared, and waits until so many completions are there.</summary>
    /// <returns>0, or errno.</returns>
    public int Enter(uint minimumCompletions)
    {
        Volatile.Write(ref *_submissionTail, _tail); // the entries before the tail
        return UringCalls.Enter(_descriptor, Prepared, minimumCompletions, UringConstants.EnterGetEvents) >= 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>As <see cref="Enter"/>, where failing is no answer that the kernel could give; interrupted, or out of memory for the moment, it returns.</summary>
    public void EnterOrThrow(uint minimumCompletions)
    {
        if (Enter(minimumCompletions) is var errno and not (0 or LinuxErrors.EINTR or LinuxErrors.EAGAIN or LinuxErrors.EBUSY))
        {
            throw new UnreachableException($"io_uring_enter failed: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).");
        }
    }

    /// <summary>Takes the oldest completion off the queue.</summary>
    public bool TryComplete(out UringCompletion completion)
    {
        var head = *_completionHead; // written here only
        if (head == Volatile.Read(ref *_completionTail))
        {
            completion = default;
            return false;
        }

        completion = _completions[head & _completionMask];
        Volatile.Write(ref *_completionHead, head + 1);
        return true;
    }

    /// <summary>Nothing is in flight.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _ = UringCalls.Unmap((nint)_submissions, _submissionsLength);
            _ = UringCalls.Unmap(_queues, _queuesLength);
            _ = UringCalls.Close(_descriptor);
        }
    }

    [SkipLocalsInit]
    private static bool IsEnough(int descriptor, uint features)
    {
        if ((features & RequiredFeatures) != RequiredFeatures)
        {
            return false;
        }

        var probe = default(UringProbe);

        // Safety: the kernel fills one struct io_uring_probe with at most so many operations.
        return UringCalls.Register(descriptor, UringConstants.RegisterProbe, &probe, UringProbe.MaxOperations) >= 0
            && probe.Supports(UringConstants.OperationRead) && probe.Supports(UringConstants.OperationWrite)
            && probe.Supports(UringConstants.OperationReadV) && probe.Supports(UringConstants.OperationWriteV)
            && probe.Supports(UringConstants.OperationAsyncCancel);
    }

    private static nint MapOrThrow(int descriptor, nint length, long offset)
    {
        var address = UringCalls.Map(0, length, ProtectionReadWrite, MapSharedPopulate, descriptor, offset);
        return address != UringCalls.MapFailed ? address : throw new IOException($"Mapping a ring failed (errno {Marshal.GetLastPInvokeError()}).");
    }
}
