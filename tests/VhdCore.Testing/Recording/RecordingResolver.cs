using VhdCore.Storage;
using VhdCore.Testing.Faults;

namespace VhdCore.Testing.Recording;

/// <summary>What was done to a storage.</summary>
/// <param name="Name">The storage's.</param>
/// <param name="Operation">The kind.</param>
/// <param name="Offset">Bytes from its start; the new length where that is changed.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct RecordedOperation(string Name, StorageOperation Operation, long Offset, long Length);

/// <summary>Opens the storages of another resolver as ones whose changes and flushes are written down.</summary>
public sealed class RecordingResolver(IStorageResolver inner) : IStorageResolver
{
    private readonly Lock _gate = new();
    private readonly List<RecordedOperation> _operations = [];

    /// <summary>Everything since the last <see cref="Clear"/>, in order. Reads are left out.</summary>
    public IReadOnlyList<RecordedOperation> Operations
    {
        get
        {
            lock (_gate)
            {
                return [.. _operations];
            }
        }
    }

    /// <summary>Flushes since the last <see cref="Clear"/>.</summary>
    public int FlushCount => Operations.Count(operation => operation.Operation == StorageOperation.Flush);

    /// <summary>What writes wait for from now on; null is nothing.</summary>
    public Task? Hold { get; set; }

    /// <summary>Forgets.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            _operations.Clear();
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default) =>
        new RecordingStorage(await inner.OpenAsync(name, options, cancellationToken), this);

    /// <inheritdoc/>
    public bool Exists(string name) => inner.Exists(name);

    /// <inheritdoc/>
    public void Delete(string name) => inner.Delete(name);

    /// <inheritdoc/>
    public string Canonicalize(string name) => inner.Canonicalize(name);

    /// <inheritdoc/>
    public string Combine(string baseName, string relativeName) => inner.Combine(baseName, relativeName);

    internal void Add(RecordedOperation operation)
    {
        lock (_gate)
        {
            _operations.Add(operation);
        }
    }
}
