using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdService.Scsi.Wire;

namespace VhdService.Scsi;

/// <summary>Which way a request's data goes.</summary>
internal enum ScsiDirection
{
    /// <summary>There is none.</summary>
    None,

    /// <summary>From the guest's memory to the unit (data-out).</summary>
    ToUnit,

    /// <summary>From the unit into the guest's memory (data-in).</summary>
    FromUnit,
}

/// <summary>
/// One command and its data. An initiator keeps these and uses each again when its result has been awaited: a READ or WRITE then allocates nothing, whether
/// the device answers at once or later.
/// </summary>
internal sealed unsafe class ScsiRequest : IValueTaskSource<ScsiResult>, IDisposable
{
    private readonly Action _onTransferred;
    private readonly byte[] _cdb = new byte[CdbView.Size];
    private ManualResetValueTaskSourceCore<ScsiResult> _completion;
    private ConfiguredValueTaskAwaitable<BlockStatus>.ConfiguredValueTaskAwaiter _transfer;
    private ScsiDisk? _disk;
    private ScsiResult _resultIfOk;
    private bool _isWrite;
    private IoVec* _shortened; // owned; holds the list of a request whose command moves less than its memory
    private int _shortenedCapacity;

    /// <summary>A request to be filled in.</summary>
    public ScsiRequest() => _onTransferred = OnTransferred;

    /// <summary>Channel, target and unit number, as the initiator addresses them.</summary>
    public byte Path { get; private set; }

    /// <inheritdoc cref="Path"/>
    public byte Target { get; private set; }

    /// <inheritdoc cref="Path"/>
    public byte Lun { get; private set; }

    /// <summary>Bytes of the CDB that the initiator sent; the rest of <see cref="Cdb"/> is zeros.</summary>
    public int CdbLength { get; private set; }

    /// <summary>The command.</summary>
    public CdbView Cdb => new(_cdb);

    /// <summary>Which way <see cref="Data"/> goes.</summary>
    public ScsiDirection Direction { get; private set; }

    /// <summary>The guest's memory; it stays the request's until the result has come.</summary>
    public BlockBuffers Data { get; private set; }

    /// <summary>When it was executed, in <see cref="System.Diagnostics.Stopwatch"/> ticks.</summary>
    internal long StartedAt { get; set; }

    /// <summary>Fills the request in. Everything comes from the guest and may be anything.</summary>
    /// <param name="path">Channel.</param>
    /// <param name="target">Target.</param>
    /// <param name="lun">Unit number.</param>
    /// <param name="cdb">What is behind the 16th byte is ignored.</param>
    /// <param name="direction">Which way the data goes.</param>
    /// <param name="data">The guest's memory, already cut to the length that the guest's request gives; default for none.</param>
    public void Set(byte path, byte target, byte lun, ReadOnlySpan<byte> cdb, ScsiDirection direction, BlockBuffers data)
    {
        Path = path;
        Target = target;
        Lun = lun;
        CdbLength = Math.Min(cdb.Length, CdbView.Size);
        _cdb.AsSpan().Clear();
        cdb[..CdbLength].CopyTo(_cdb);
        Direction = direction;
        Data = direction == ScsiDirection.None ? default : data;
    }

    /// <summary>The first <paramref name="length"/> bytes of the data, valid until the request is used again.</summary>
    public BlockBuffers DataPrefix(long length)
    {
        if (length == Data.Length)
        {
            return Data;
        }

        var count = Data.SegmentCount;
        if (count > _shortenedCapacity)
        {
            // Safety: the old list is not in use: only one command runs at a time, and it has not begun to move data.
            _shortened = (IoVec*)NativeMemory.Realloc(_shortened, (nuint)count * (nuint)sizeof(IoVec));
            _shortenedCapacity = count;
        }

        // Safety: `count` entries were allocated above, or before.
        var (used, _) = Data.Describe(0, length, new Span<IoVec>(_shortened, count));
        return used == 0 ? default : BlockBuffers.List((nint)_shortened, used, length);
    }

    /// <summary>Copies an answer into the guest's memory, as much of it as both the command and the memory have room for.</summary>
    public ScsiResult Answer(ReadOnlySpan<byte> answer)
    {
        if (Direction != ScsiDirection.FromUnit)
        {
            return ScsiResult.Good();
        }

        var length = (int)Math.Min(Math.Min((uint)answer.Length, Cdb.AllocationLength), Data.Length);
        Data.CopyFrom(0, answer[..length]);
        return ScsiResult.Good(length);
    }

    /// <summary>Turns a device's answer into the result, now or when it comes.</summary>
    internal ValueTask<ScsiResult> FinishWith(ScsiDisk disk, ValueTask<BlockStatus> transfer, bool isWrite, ScsiResult resultIfOk)
    {
        if (transfer.IsCompletedSuccessfully)
        {
            return ValueTask.FromResult(disk.Finish(this, transfer.Result, isWrite, resultIfOk));
        }

        _disk = disk;
        _isWrite = isWrite;
        _resultIfOk = resultIfOk;
        _completion.Reset();
        var version = _completion.Version; // completing may lead to the next use before this returns
        _transfer = transfer.ConfigureAwait(false).GetAwaiter();
        _transfer.UnsafeOnCompleted(_onTransferred);
        return new ValueTask<ScsiResult>(this, version);
    }

    /// <inheritdoc/>
    public ScsiResult GetResult(short token) => _completion.GetResult(token);

    /// <inheritdoc/>
    public ValueTaskSourceStatus GetStatus(short token) => _completion.GetStatus(token);

    /// <inheritdoc/>
    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);

    /// <summary>Gives native memory back; no command may be under way.</summary>
    public void Dispose()
    {
        // Safety: allocated by Realloc in DataPrefix, or null; freed once, since the pointer is cleared.
        NativeMemory.Free(_shortened);
        _shortened = null;
        _shortenedCapacity = 0;
    }

    private void OnTransferred()
    {
        BlockStatus status;
        try
        {
            status = _transfer.GetResult();
        }
        catch (OperationCanceledException)
        {
            status = BlockStatus.Cancelled;
        }
        catch (Exception)
        {
            status = BlockStatus.IoError; // a device that breaks its contract must not take the channel with it
        }

        _transfer = default;
        _completion.SetResult(_disk!.Finish(this, status, _isWrite, _resultIfOk));
    }
}
