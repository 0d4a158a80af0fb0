using VhdCore.Storage;

namespace VhdCore.Testing.Faults;

/// <summary>Opens the storages of another resolver as ones that go wrong by one common plan.</summary>
public sealed class FaultResolver(IStorageResolver inner, FaultPlan plan) : IStorageResolver
{
    /// <summary>The plan of every storage opened here.</summary>
    public FaultPlan Plan => plan;

    /// <inheritdoc/>
    public async ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default) =>
        new FaultStorage(await inner.OpenAsync(name, options, cancellationToken), plan);

    /// <inheritdoc/>
    public bool Exists(string name) => inner.Exists(name);

    /// <inheritdoc/>
    public void Delete(string name) => inner.Delete(name);

    /// <inheritdoc/>
    public string Canonicalize(string name) => inner.Canonicalize(name);

    /// <inheritdoc/>
    public string Combine(string baseName, string relativeName) => inner.Combine(baseName, relativeName);
}
