using System.Diagnostics;

namespace VhdCore.Layers;

/// <summary>
/// The places that new blocks can take, from freed to ready: freed by a release, its removal committed, out of reach of operations in flight,
/// formatted, durable. Guarded by the table's lock.
/// </summary>
internal sealed class SlotPool(InFlightGate gate)
{
    private readonly Queue<long> _durable = new();
    private readonly Queue<(long Offset, long Stamp)> _formatted = new();
    private readonly Queue<long> _unformatted = new();
    private readonly Queue<Freed> _draining = new();
    private List<Freed> _uncommitted = [];
    private long _stamp; // number of the next flush

    /// <summary>Slots that <see cref="TryTake"/> can give.</summary>
    public int AvailableCount => _durable.Count + _formatted.Count;

    /// <summary>Places have been given up, durably, and not been made ready again.</summary>
    public bool HasFreed => _draining.Count > 0 || _unformatted.Count > 0;

    /// <summary>Slots taken since <see cref="ResetTaken"/>.</summary>
    public int TakenCount { get; private set; }

    public void ResetTaken() => TakenCount = 0;

    /// <summary>Takes a slot, a durable one if there is one.</summary>
    public bool TryTake(out Slot slot)
    {
        if (_durable.TryDequeue(out var offset))
        {
            slot = new Slot(offset, IsDurable: true);
        }
        else if (_formatted.TryDequeue(out var formatted))
        {
            slot = new Slot(formatted.Offset, IsDurable: Sabotage.Is(SabotagePoint.ReadyAfterFlush));
        }
        else
        {
            slot = default;
            return false;
        }

        TakenCount++;
        return true;
    }

    /// <summary>A slot that needs no flush before a table points at it.</summary>
    public void AddDurable(long offset) => _durable.Enqueue(offset);

    /// <summary>A slot's formatting has been written, not yet flushed.</summary>
    public void AddFormatted(long offset) => _formatted.Enqueue((offset, _stamp));

    /// <summary>A place that nothing points at, in an unknown state.</summary>
    public void AddUnformatted(long offset) => _unformatted.Enqueue(offset);

    /// <summary>A block has lost its place; the entry was unpublished just now.</summary>
    public void AddFreed(long offset)
    {
        var freed = new Freed(offset, gate.Epoch);
        if (Sabotage.Is(SabotagePoint.FreeAfterCommit))
        {
            _draining.Enqueue(freed);
            return;
        }

        _uncommitted.Add(freed);
    }

    /// <summary>The places freed up to now, for the commit that makes their removal durable.</summary>
    public List<Freed> TakeUncommitted()
    {
        var freed = _uncommitted;
        _uncommitted = [];
        return freed;
    }

    /// <summary>The removals are durable.</summary>
    public void AddCommitted(List<Freed> freed) => freed.ForEach(_draining.Enqueue);

    /// <summary>Takes a place that must be formatted before use: committed as free, and no operation in flight can still move bytes there.</summary>
    public bool TryTakeUnformatted(out long offset)
    {
        while (_draining.TryPeek(out var freed) && (gate.IsDrained(freed.Epoch) || Sabotage.Is(SabotagePoint.Leases)))
        {
            _draining.Dequeue();
            _unformatted.Enqueue(freed.Offset);
        }

        return _unformatted.TryDequeue(out offset);
    }

    /// <summary>Takes every place that no block has, when nothing is in flight and all is committed.</summary>
    public List<long> TakeAll()
    {
        List<long> all = [.. _durable, .. _formatted.Select(slot => slot.Offset), .. _unformatted, .. _draining.Select(freed => freed.Offset)];
        _durable.Clear();
        _formatted.Clear();
        _unformatted.Clear();
        _draining.Clear();
        return all;
    }

    /// <summary>A flush of the storage starts.</summary>
    /// <returns>Its number, for <see cref="FlushEnded"/>.</returns>
    public long FlushStarts() => _stamp++;

    /// <summary>A flush has succeeded: what was formatted before it started is durable.</summary>
    public void FlushEnded(long stamp)
    {
        Debug.Assert(stamp < _stamp);
        while (_formatted.TryPeek(out var slot) && slot.Stamp <= stamp)
        {
            _formatted.Dequeue();
            _durable.Enqueue(slot.Offset);
        }
    }

    /// <summary>A place given up.</summary>
    /// <param name="Offset">Bytes from the storage's start.</param>
    /// <param name="Epoch">The gate's epoch just after the entry was gone.</param>
    internal readonly record struct Freed(long Offset, long Epoch);
}
