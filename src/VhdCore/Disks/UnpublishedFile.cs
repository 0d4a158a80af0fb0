using VhdCore.Storage;

namespace VhdCore.Disks;

/// <summary>A file under a temporary name, waiting to replace what has its own. Keeps what it will replace locked until then.</summary>
internal sealed class UnpublishedFile : IAsyncDisposable
{
    private readonly IStorageResolver _resolver;
    private readonly IStorage _storage; // owned by the layer over it
    private readonly IStorage? _replaced;
    private readonly string _name;
    private bool _isClosed;

    /// <param name="resolver">Whose names these are.</param>
    /// <param name="storage">The file, under its temporary name.</param>
    /// <param name="name">The name it is to have.</param>
    /// <param name="replaced">What has that name now, locked; owned from here on.</param>
    public UnpublishedFile(IStorageResolver resolver, IStorage storage, string name, IStorage? replaced)
    {
        _resolver = resolver;
        _storage = storage;
        _name = name;
        _replaced = replaced;
        TemporaryName = storage.Name;
    }

    /// <summary>The name until then.</summary>
    public string TemporaryName { get; }

    /// <summary>The file has its own name, durably.</summary>
    public bool IsPublished { get; private set; }

    /// <summary>Gives the file its name.</summary>
    /// <exception cref="Errors.StorageException">The name cannot be given; the file keeps its temporary one.</exception>
    public async ValueTask PublishAsync(CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows())
        {
            await ReleaseReplacedAsync().ConfigureAwait(false); // an open file cannot be replaced there
        }

        await _storage.RenameOrThrowAsync(_name, cancellationToken).ConfigureAwait(false);
        IsPublished = true;
        await ReleaseReplacedAsync().ConfigureAwait(false);
    }

    /// <summary>Deletes the file unless it was published. Its storage is closed before.</summary>
    /// <returns>It was deleted.</returns>
    public async ValueTask<bool> CloseAsync()
    {
        if (_isClosed)
        {
            return !IsPublished;
        }

        _isClosed = true;
        if (!IsPublished)
        {
            _resolver.Delete(TemporaryName);
        }

        await ReleaseReplacedAsync().ConfigureAwait(false);
        return !IsPublished;
    }

    public async ValueTask DisposeAsync() => await CloseAsync().ConfigureAwait(false);

    private ValueTask ReleaseReplacedAsync() => _replaced?.DisposeAsync() ?? default;
}
