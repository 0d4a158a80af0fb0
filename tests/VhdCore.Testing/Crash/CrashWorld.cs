using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Testing.Crash;

/// <summary>
/// Storages whose power can be cut. What was made durable is kept apart from what was not, and every state that a cut may leave can be produced as a
/// world of its own: any subset of unflushed writes, torn at 512 bytes, in any order; any length passed through; names as they were or are.
/// </summary>
/// <remarks>
/// Each cell of 512 bytes has its durable value or any value written since the last flush. With <see cref="IsExtensionOrdered"/> a length comes
/// with the bytes of the write that made it, as on ext4's ordered mode. Names are durable after a rename, which flushes file and folder; a name
/// created or removed otherwise stays in doubt. Everything happens under one lock, in one order.
/// </remarks>
public sealed class CrashWorld : IStorageResolver
{
    private readonly Dictionary<string, CrashFile> _names = [];
    private readonly Dictionary<string, CrashFile> _durableNames = [];
    private readonly List<NameChange> _nameChanges = []; // since the folder's last flush, oldest first
    private int _killAfter; // steps; 0 for never
    private int _failFlushAfter; // flushes; 0 for never
    private Random _failure = new(0);
    private double _partOfLastWrite;

    /// <summary>A length never becomes durable without the bytes of the write that made it.</summary>
    public bool IsExtensionOrdered { get; init; }

    /// <summary>Whether holes can be punched.</summary>
    public bool CanPunch { get; set; } = true;

    /// <summary>Whether <see cref="IStorage.TryRead"/> finds everything at hand, or never anything.</summary>
    public bool ReadsAtOnce { get; set; } = true;

    /// <summary>Who asked hears of an operation some time after it has happened, and of several in any order, as from a ring of completions. Takes a <see cref="Scheduler"/>.</summary>
    public bool CompletesLate { get; init; }

    /// <summary>Decides the order of operations; null lets each happen at once.</summary>
    public StepScheduler? Scheduler { get; set; }

    /// <summary>Called after each step, and before each flush, in the middle of it: the world may be looked at and cut, nothing else.</summary>
    public Action<CrashStep>? OnStep { get; set; }

    /// <summary>Every name there is now, sorted.</summary>
    public IReadOnlyList<string> Names => [.. _names.Keys.Order(StringComparer.Ordinal)];

    internal Lock Gate { get; } = new();

    internal long LastOperation { get; private set; }

    /// <summary>Puts a durable storage there.</summary>
    public void Add(string name, ReadOnlySpan<byte> content)
    {
        using var buffer = new NativeBuffer(content);
        var file = new CrashFile();
        var canonical = Canonicalize(name);
        lock (Gate)
        {
            file.Write(NextOperation(), 0, buffer.Buffers, 0, buffer.Length);
            file.Flush(LastOperation);
            _names[canonical] = file;
            _durableNames[canonical] = file;
        }
    }

    /// <summary>Bytes of a storage as a reader would see them now.</summary>
    public byte[] GetBytes(string name)
    {
        lock (Gate)
        {
            var file = Find(name);
            using var buffer = new NativeBuffer(checked((int)file.Length));
            file.Read(0, buffer.Buffers, 0, buffer.Length);
            return buffer.Span.ToArray();
        }
    }

    /// <summary>512 bytes of a storage as they are now; null for a hole. Not to be changed.</summary>
    public byte[]? PeekCell(string name, int index)
    {
        lock (Gate)
        {
            return Find(name).Cell(index);
        }
    }

    /// <summary>Cells in a row; see <see cref="PeekCell"/>.</summary>
    public byte[]?[] PeekCells(string name, int first, int count)
    {
        lock (Gate)
        {
            var file = Find(name);
            var cells = new byte[]?[count];
            for (var i = 0; i < count; i++)
            {
                cells[i] = file.Cell(first + i);
            }

            return cells;
        }
    }

    /// <summary>Bytes of a storage's length now.</summary>
    public long GetLength(string name)
    {
        lock (Gate)
        {
            return Find(name).Length;
        }
    }

    /// <summary>The process that had storages open is killed: its handles are dead, its locks gone, the page cache stays.</summary>
    public void Kill()
    {
        lock (Gate)
        {
            foreach (var file in _names.Values)
            {
                file.Generation++;
                file.HasWriter = false;
                file.ReaderCount = 0;
            }
        }
    }

    /// <summary>Has the process killed in the middle of a request: with its next step but <paramref name="steps"/> - 1.</summary>
    /// <param name="steps">1 for the next; 0 takes it back.</param>
    /// <param name="partOfLastWrite">How much of the last step, if it is a write, has reached the page cache by then: 0 to 1.</param>
    public void KillAfter(int steps, double partOfLastWrite = 1)
    {
        lock (Gate)
        {
            _killAfter = steps;
            _partOfLastWrite = partOfLastWrite;
        }
    }

    /// <summary>Has a flush fail: the next but <paramref name="flushes"/> - 1. What it did not bring to the medium, no later flush brings there.</summary>
    public void FailFlushAfter(int flushes, Random random)
    {
        lock (Gate)
        {
            _failFlushAfter = flushes;
            _failure = random;
        }
    }

    /// <summary>A flush has failed. What is read may not be what the medium has, so that this world is only good for being cut.</summary>
    public bool HasFlushFailed { get; private set; }

    /// <summary>The kill that was asked for has not come yet.</summary>
    public bool IsKillPending => _killAfter > 0;

    /// <summary>What one cut of the power may leave, by chance.</summary>
    public CrashWorld Cut(Random random)
    {
        lock (Gate)
        {
            return new CrashSampler(this, random).Cut();
        }
    }

    /// <summary>How many states a cut may leave; <see cref="long.MaxValue"/> when they are more than that.</summary>
    public long CountStates()
    {
        lock (Gate)
        {
            return CrashEnumeration.Count(this);
        }
    }

    /// <summary>Every state that a cut may leave. The world must not change meanwhile.</summary>
    public IEnumerable<CrashWorld> AllStates() => CrashEnumeration.All(this);

    /// <inheritdoc/>
    public ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default)
    {
        var canonical = Canonicalize(name);
        lock (Gate)
        {
            CrashFile file;
            if (options.CreateNew)
            {
                file = new CrashFile();
                if (!_names.TryAdd(canonical, file))
                {
                    throw new StorageException($"'{canonical}' exists already.", canonical);
                }

                Change(canonical, file, formerName: null);
            }
            else
            {
                file = Find(canonical);
            }

            Take(file, options, canonical);
            return new(new CrashStorage(this, file, canonical, options));
        }
    }

    /// <inheritdoc/>
    public bool Exists(string name)
    {
        lock (Gate)
        {
            return _names.ContainsKey(Canonicalize(name));
        }
    }

    /// <inheritdoc/>
    public void Delete(string name)
    {
        lock (Gate)
        {
            if (_names.Remove(Canonicalize(name)))
            {
                Change(Canonicalize(name), file: null, formerName: null);
            }
        }
    }

    /// <inheritdoc/>
    public string Canonicalize(string name) => StorageNames.Canonicalize(name);

    /// <inheritdoc/>
    public string Combine(string baseName, string relativeName) => StorageNames.Combine(baseName, relativeName);

    internal long NextOperation() => ++LastOperation;

    internal void Tell(CrashStep step)
    {
        OnStep?.Invoke(step);
        if (_killAfter > 0 && --_killAfter == 0)
        {
            Kill();
        }
    }

    /// <summary>Whether the flush that is ending now fails.</summary>
    internal bool FailsFlush(CrashFile file)
    {
        if (_failFlushAfter == 0 || --_failFlushAfter > 0)
        {
            return false;
        }

        file.FailFlush(_failure);
        HasFlushFailed = true;
        return true;
    }

    /// <summary>Bytes of the next write that will have landed when the process goes on, or is gone.</summary>
    internal long LandingLength(long offset, long length)
    {
        if (_killAfter != 1 || _partOfLastWrite >= 1)
        {
            return length;
        }

        // A signal ends a write between pages, and a page has its bytes or not.
        var end = Alignment.Down(offset + (long)(length * _partOfLastWrite), CrashFile.CellSize);
        return Math.Clamp(end - offset, 0, length);
    }

    internal string Rename(string name, string newName, CrashFile file)
    {
        var canonical = Canonicalize(newName);
        if (_names.TryGetValue(name, out var named) && named == file)
        {
            _names.Remove(name);
        }

        _names[canonical] = file;
        Change(canonical, file, name);
        return canonical;
    }

    internal void FlushNames()
    {
        _durableNames.Clear();
        foreach (var (name, file) in _names)
        {
            _durableNames.Add(name, file);
        }

        _nameChanges.Clear();
        Tell(new CrashStep(CrashStepKind.Flushed, "/", 0, 0));
    }

    internal void Release(CrashFile file, StorageOpenOptions options)
    {
        lock (Gate)
        {
            if (options.Access == StorageAccess.ReadWrite)
            {
                file.HasWriter = false;
            }
            else if (options.Sharing != StorageSharing.Force)
            {
                file.ReaderCount--;
            }
        }
    }

    /// <summary>Operations that a cut may lose.</summary>
    internal IEnumerable<long> UnflushedOperations() => _names.Values.Concat(_durableNames.Values).Distinct()
        .SelectMany(file => file.UnflushedOperations).Concat(_nameChanges.Select(change => change.Operation)).Distinct();

    /// <summary>The operations on names that a cut may lose, oldest first.</summary>
    internal IReadOnlyList<long> NameOperations => [.. _nameChanges.Select(change => change.Operation)];

    /// <summary>The names after a cut that kept some of the operations.</summary>
    internal Dictionary<string, CrashFile> NamesAfter(Func<long, bool> isKept)
    {
        var names = new Dictionary<string, CrashFile>(_durableNames);
        foreach (var change in _nameChanges.Where(change => isKept(change.Operation)))
        {
            if (change.FormerName is { } former && names.TryGetValue(former, out var file) && file == change.File)
            {
                names.Remove(former);
            }

            if (change.File is null)
            {
                names.Remove(change.Name);
            }
            else
            {
                names[change.Name] = change.File;
            }
        }

        return names;
    }

    /// <summary>A world with these files, all durable.</summary>
    internal CrashWorld With(IEnumerable<(string Name, CrashFile File)> files)
    {
        var world = new CrashWorld { IsExtensionOrdered = IsExtensionOrdered, CanPunch = CanPunch, CompletesLate = CompletesLate, LastOperation = LastOperation };
        foreach (var (name, file) in files)
        {
            world._names.Add(name, file);
            world._durableNames.Add(name, file);
        }

        return world;
    }

    private static void Take(CrashFile file, StorageOpenOptions options, string name)
    {
        if (options.Access == StorageAccess.ReadWrite ? file.HasWriter || file.ReaderCount > 0 : file.HasWriter && options.Sharing != StorageSharing.Force)
        {
            throw new ImageInUseException($"'{name}' is open elsewhere.", name);
        }

        if (options.Access == StorageAccess.ReadWrite)
        {
            file.HasWriter = true;
        }
        else if (options.Sharing != StorageSharing.Force)
        {
            file.ReaderCount++;
        }
    }

    private void Change(string name, CrashFile? file, string? formerName)
    {
        _nameChanges.Add(new NameChange(NextOperation(), name, file, formerName));
        Tell(new CrashStep(CrashStepKind.NameChange, name, 0, 0));
    }

    private CrashFile Find(string name) =>
        _names.TryGetValue(Canonicalize(name), out var file) ? file : throw new StorageException($"'{name}' does not exist.", name);

    private sealed record NameChange(long Operation, string Name, CrashFile? File, string? FormerName);
}
