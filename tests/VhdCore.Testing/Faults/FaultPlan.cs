using VhdCore.Errors;

namespace VhdCore.Testing.Faults;

/// <summary>Which operations of one or more <see cref="FaultStorage"/>s fail, come up short, or take their time. Any thread.</summary>
public sealed class FaultPlan
{
    private const int SectorSize = 512; // bytes

    private readonly Lock _gate = new();
    private readonly Random _random;
    private readonly long[] _counts = new long[Enum.GetValues<StorageOperation>().Length];
    private readonly List<Fault> _faults = [];
    private long? _spaceLeft;
    private long _mapCount;

    /// <summary>A plan in which nothing fails.</summary>
    /// <param name="seed">Decides delays and short reads.</param>
    public FaultPlan(int seed = 0) => _random = new Random(seed);

    /// <summary>Chance, from 0 to 1, that an operation completes later, on another thread, and after ones that came later.</summary>
    public double DelayProbability { get; set; }

    /// <summary>Chance, from 0 to 1, that a <c>TryRead</c> moves less than it could: nothing, or whole sectors from the front.</summary>
    public double ShortReadProbability { get; set; }

    /// <summary>Bytes; a longer operation happens in pieces that end on multiples of this, with other operations in between. 0 leaves operations whole.</summary>
    public int PieceSize { get; set; }

    /// <summary>Called before each operation, with its kind and the storage's name.</summary>
    public Action<StorageOperation, string>? Before { get; set; }

    /// <summary>Calls of <see cref="Storage.IStorage.Map"/> so far, which never fail.</summary>
    public long MapCount => Interlocked.Read(ref _mapCount);

    /// <summary>A call of <see cref="Storage.IStorage.Map"/>.</summary>
    public void CountMap() => Interlocked.Increment(ref _mapCount);

    /// <summary>Operations of a kind so far.</summary>
    public long Count(StorageOperation operation)
    {
        lock (_gate)
        {
            return _counts[(int)operation];
        }
    }

    /// <summary>Lets the <paramref name="nth"/> operation of a kind from now on fail; 1 is the next one.</summary>
    /// <param name="operation">The kind.</param>
    /// <param name="nth">Which one.</param>
    /// <param name="status">What it answers.</param>
    /// <param name="andAllAfter">All later ones of the kind fail too.</param>
    public void Fail(StorageOperation operation, int nth = 1, BlockStatus status = BlockStatus.IoError, bool andAllAfter = false)
    {
        lock (_gate)
        {
            _faults.Add(new Fault(operation, _counts[(int)operation] + nth, status, andAllAfter));
        }
    }

    /// <summary>The medium has this many bytes left for storages to grow by; null is no limit.</summary>
    public void LimitSpace(long? bytes)
    {
        lock (_gate)
        {
            _spaceLeft = bytes;
        }
    }

    /// <summary>Nothing fails any more; counts stay.</summary>
    public void Heal()
    {
        lock (_gate)
        {
            _faults.Clear();
            _spaceLeft = null;
        }
    }

    internal BlockStatus Enter(StorageOperation operation, string name, long growth)
    {
        Before?.Invoke(operation, name);
        lock (_gate)
        {
            var status = CountAndJudge(operation);
            if (growth > 0 && operation == StorageOperation.Write)
            {
                var extension = CountAndJudge(StorageOperation.Extend);
                status = status == BlockStatus.Ok ? extension : status;
            }

            if (status == BlockStatus.Ok && growth > 0 && _spaceLeft is { } left)
            {
                if (growth > left)
                {
                    return BlockStatus.NoSpace;
                }

                _spaceLeft = left - growth;
            }

            return status;
        }
    }

    internal long Shorten(long offset, long length)
    {
        lock (_gate)
        {
            if (_random.NextDouble() >= ShortReadProbability)
            {
                return length;
            }

            // Media come up short between sectors, not inside them.
            var end = offset + _random.NextInt64(length);
            return Math.Max(0, (end & -SectorSize) - offset);
        }
    }

    /// <summary>How many times to let others go first.</summary>
    internal int Delay()
    {
        if (DelayProbability == 0)
        {
            return 0;
        }

        lock (_gate)
        {
            return _random.NextDouble() < DelayProbability ? _random.Next(1, 5) : 0;
        }
    }

    private BlockStatus CountAndJudge(StorageOperation operation)
    {
        var count = ++_counts[(int)operation];
        foreach (var fault in _faults)
        {
            if (fault.Operation == operation && (count == fault.At || (fault.AndAllAfter && count > fault.At)))
            {
                return fault.Status;
            }
        }

        return BlockStatus.Ok;
    }

    private readonly record struct Fault(StorageOperation Operation, long At, BlockStatus Status, bool AndAllAfter);
}
