using System.Diagnostics;
using VhdCore.Layers;

namespace VhdCore.Vhd;

/// <summary>
/// The places that new blocks can take, from freed to ready: freed by a release, its removal committed, out of reach of operations in flight,
/// formatted, durable. Guarded by the table's lock.
/// </summary>
internal sealed class VhdSlotPool(InFlightGate gate)
{
    private readonly Queue<uint> _durable = new();
    private readonly Queue<(uint Entry, long Stamp)> _formatted = new();
    private readonly Queue<uint> _unformatted = new();
    private readonly Queue<Freed> _draining = new();
    private List<Freed> _uncommitted = [];
    private long _stamp; // number of the next flush

    /// <summary>Slots that <see cref="TryTake"/> can give.</summary>
    public int AvailableCount => _durable.Count + _formatted.Count;

    /// <summary>Slots taken since <see cref="ResetTaken"/>.</summary>
    public int TakenCount { get; private set; }

    public void ResetTaken() => TakenCount = 0;

    /// <summary>Takes a slot, a durable one if there is one.</summary>
    public bool TryTake(out VhdSlot slot)
    {
        if (_durable.TryDequeue(out var entry))
        {
            slot = new VhdSlot(entry, IsDurable: true);
        }
        else if (_formatted.TryDequeue(out var formatted))
        {
            slot = new VhdSlot(formatted.Entry, IsDurable: Sabotage.Is(SabotagePoint.ReadyAfterFlush));
        }
        else
        {
            slot = default;
            return false;
        }

        TakenCount++;
        return true;
    }

    /// <summary>A slot's formatting has been written, not yet flushed.</summary>
    public void AddFormatted(uint entry) => _formatted.Enqueue((entry, _stamp));

    /// <summary>A place that nothing points at, in an unknown state.</summary>
    public void AddUnformatted(uint entry) => _unformatted.Enqueue(entry);

    /// <summary>A block has lost its place; the entry was unpublished just now.</summary>
    public void AddFreed(uint entry)
    {
        var freed = new Freed(entry, gate.Epoch);
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
    public bool TryTakeUnformatted(out uint entry)
    {
        while (_draining.TryPeek(out var freed) && (gate.IsDrained(freed.Epoch) || Sabotage.Is(SabotagePoint.Leases)))
        {
            _draining.Dequeue();
            _unformatted.Enqueue(freed.Entry);
        }

        return _unformatted.TryDequeue(out entry);
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
            _durable.Enqueue(slot.Entry);
        }
    }

    /// <summary>A place given up.</summary>
    /// <param name="Entry">Where.</param>
    /// <param name="Epoch">The gate's epoch just after the entry was gone.</param>
    internal readonly record struct Freed(uint Entry, long Epoch);
}
