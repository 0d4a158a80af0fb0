using VhdCore.Chains;
using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Devices;

/// <summary>A chain of images as one disk.</summary>
/// <remarks>
/// Every request takes a ticket of the gate, pins the chain's state, resolves and moves bytes, and gives the ticket back. Only the leaf is written;
/// <see cref="ChainWriter"/> does that. After a failed commit the disk can be read, and no longer written, until it is opened again.
/// </remarks>
internal sealed class ChainDevice : IBlockDevice
{
    private readonly InFlightGate _gate;
    private readonly ChainState _state;
    private readonly ChainReader _reader;
    private readonly ChainWriter? _writer;
    private int _isDisposed;

    /// <summary>Takes a chain over: the device owns its layers.</summary>
    /// <param name="state">The chain; its leaf is writable unless <see cref="BlockDeviceInfo.IsReadOnly"/>.</param>
    /// <param name="gate">The gate that the leaf frees its space by.</param>
    /// <param name="info">What never changes.</param>
    /// <param name="timeProvider">The clock of the timed commit.</param>
    public ChainDevice(ChainState state, InFlightGate gate, BlockDeviceInfo info, TimeProvider? timeProvider = null)
    {
        _state = state;
        _gate = gate;
        Info = info;
        _reader = new ChainReader(state);
        if (!info.IsReadOnly)
        {
            _writer = new ChainWriter(state, (IWritableLayer)state.Leaf, _reader, timeProvider ?? TimeProvider.System);
        }
    }

    /// <inheritdoc/>
    public event Action<long>? Resized
    {
        add { }
        remove { }
    }

    /// <inheritdoc cref="CommitCoordinator.IsTimed"/>
    public bool CommitsByTime
    {
        set
        {
            if (_writer is not null)
            {
                _writer.CommitsByTime = value;
            }
        }
    }

    public BlockDeviceInfo Info { get; }

    public long Length => _state.Length;

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default)
    {
        if (!IsInside(offset, into.Length))
        {
            return ValueTask.FromResult(BlockStatus.OutOfRange);
        }

        if (!_gate.TryEnter(out var ticket))
        {
            return ValueTask.FromResult(BlockStatus.Closed);
        }

        return _reader.ReadAsync(offset, into, _gate, ticket, cancellationToken);
    }

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        var refusal = Enter(offset, from.Length, out var ticket);
        return refusal != BlockStatus.Ok
            ? ValueTask.FromResult(refusal)
            : LeaveLaterAsync(ticket, _writer!.WriteAsync(offset, from, flags, cancellationToken));
    }

    /// <summary>The storage that a run of <see cref="MapAsync"/> lies in.</summary>
    public IStorage StorageAt(int depth) => _state.Layers[depth].Storage;

    /// <summary>Whether <see cref="CloneAsync"/> is worth trying with any image of <paramref name="source"/>.</summary>
    public bool MayCloneFrom(ChainDevice source)
    {
        foreach (var layer in source._state.Layers)
        {
            if (_writer is not null && StorageClone.MayClone(layer.Storage, _state.Leaf.Storage))
            {
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc cref="ChainWriter.CloneAsync"/>
    public async ValueTask<(BlockStatus Status, long Length)> CloneAsync(
        long diskOffset, IStorage source, long sourceOffset, long length, CancellationToken cancellationToken)
    {
        var refusal = Enter(diskOffset, length, out var ticket);
        if (refusal != BlockStatus.Ok)
        {
            return (refusal, 0);
        }

        try
        {
            return await _writer!.CloneAsync(diskOffset, source, sourceOffset, length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit(ticket);
        }
    }

    public ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        var refusal = Enter(offset, length, out var ticket);
        return refusal != BlockStatus.Ok
            ? ValueTask.FromResult(refusal)
            : LeaveLaterAsync(ticket, _writer!.TrimAsync(offset, length, cancellationToken));
    }

    public ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        var refusal = Enter(offset, length, out var ticket);
        return refusal != BlockStatus.Ok
            ? ValueTask.FromResult(refusal)
            : LeaveLaterAsync(ticket, _writer!.ZeroAsync(offset, length, flags, cancellationToken));
    }

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (!_gate.TryEnter(out var ticket))
        {
            return ValueTask.FromResult(BlockStatus.Closed);
        }

        if (_writer is null)
        {
            _gate.Exit(ticket);
            return ValueTask.FromResult(BlockStatus.Ok);
        }

        return LeaveLaterAsync(ticket, _writer.FlushAsync(cancellationToken));
    }

    public async ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        if (!IsInside(offset, length) || length == 0)
        {
            return new BlockRun(BlockStatus.OutOfRange, offset, 0, 0, IsPresent: false, IsZero: false, -1);
        }

        if (!_gate.TryEnter(out var ticket))
        {
            return new BlockRun(BlockStatus.Closed, offset, 0, 0, IsPresent: false, IsZero: false, -1);
        }

        try
        {
            return await _reader.MapAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit(ticket);
        }
    }

    /// <summary>Refuses new requests, waits for those in flight, commits, and leaves the image as after a clean shutdown. Then closes the storages.</summary>
    /// <returns>How the last commit ended; what an earlier flush acknowledged is durable whatever it says.</returns>
    public async ValueTask<BlockStatus> CloseAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return BlockStatus.Closed;
        }

        await _gate.CloseAsync().ConfigureAwait(false);
        var status = _writer is null ? BlockStatus.Ok : await _writer.CloseAsync().ConfigureAwait(false);
        _writer?.Dispose();
        foreach (var layer in _state.Layers.ToArray())
        {
            await layer.DisposeAsync().ConfigureAwait(false);
        }

        return status;
    }

    public async ValueTask DisposeAsync() => await CloseAsync().ConfigureAwait(false);

    private bool IsInside(long offset, long length) => offset >= 0 && length >= 0 && offset <= Length && length <= Length - offset;

    private BlockStatus Enter(long offset, long length, out InFlightGate.Ticket ticket)
    {
        ticket = default;
        if (_writer is null)
        {
            return BlockStatus.ReadOnly;
        }

        if (!IsInside(offset, length))
        {
            return BlockStatus.OutOfRange;
        }

        return _gate.TryEnter(out ticket) ? BlockStatus.Ok : BlockStatus.Closed;
    }

    private ValueTask<BlockStatus> LeaveLaterAsync(InFlightGate.Ticket ticket, ValueTask<BlockStatus> operation)
    {
        if (!operation.IsCompletedSuccessfully)
        {
            return AwaitAsync(ticket, operation);
        }

        _gate.Exit(ticket);
        return ValueTask.FromResult(operation.Result);

        async ValueTask<BlockStatus> AwaitAsync(InFlightGate.Ticket ticket, ValueTask<BlockStatus> operation)
        {
            try
            {
                return await operation.ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return BlockStatus.Cancelled;
            }
            finally
            {
                _gate.Exit(ticket);
            }
        }
    }
}
