using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Disks;

/// <summary>A file under a temporary name, waiting to replace what has its own. Keeps what it will replace locked until then.</summary>
internal sealed class UnpublishedFile : IAsyncDisposable
{
    private readonly IStorageResolver _resolver;
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
        Storage = storage;
        _name = name;
        _replaced = replaced;
        TemporaryName = storage.Name;
    }

    /// <summary>The file. Owned by the layer over it.</summary>
    public IStorage Storage { get; }

    /// <summary>The name until then.</summary>
    public string TemporaryName { get; }

    /// <summary>The file has its own name, durably.</summary>
    public bool IsPublished { get; private set; }

    /// <summary>Makes the file, empty, after locking what it will replace.</summary>
    /// <param name="resolver">Whose names these are.</param>
    /// <param name="name">The name it is to have.</param>
    /// <param name="io">How requests reach it.</param>
    /// <param name="cancellationToken">Ends it; nothing is left behind.</param>
    /// <exception cref="ImageException">What has the name is in use or is no file, or the medium failed.</exception>
    public static async ValueTask<UnpublishedFile> CreateAsync(IStorageResolver resolver, string name, IoSettings io, CancellationToken cancellationToken)
    {
        var replaced = await LockReplacedAsync(resolver, name, cancellationToken).ConfigureAwait(false);
        try
        {
            var storage = await CreateTemporaryAsync(resolver, name, io, cancellationToken).ConfigureAwait(false);
            return new UnpublishedFile(resolver, storage, name, replaced);
        }
        catch
        {
            if (replaced is not null)
            {
                await replaced.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }

    /// <summary>Gives the file its name.</summary>
    /// <exception cref="StorageException">The name cannot be given; the file keeps its temporary one.</exception>
    public async ValueTask PublishAsync(CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows())
        {
            await ReleaseReplacedAsync().ConfigureAwait(false); // an open file cannot be replaced there
        }

        await Storage.RenameOrThrowAsync(_name, cancellationToken).ConfigureAwait(false);
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

    /// <summary>Lets others have what will be replaced.</summary>
    public ValueTask ReleaseReplacedAsync() => _replaced?.DisposeAsync() ?? default;

    private static async ValueTask<IStorage> CreateTemporaryAsync(IStorageResolver resolver, string name, IoSettings io, CancellationToken cancellationToken)
    {
        const int MaxAttempts = 8;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await resolver.OpenAsync(
                    TemporaryNames.For(name), StorageOpenOptions.ForCreating with { Io = io, TemporaryFor = name }, cancellationToken).ConfigureAwait(false);
            }
            catch (ImageInUseException) when (attempt < MaxAttempts)
            {
                // Another process took the new file for an abandoned one, in the moment before it was locked.
            }
        }
    }

    private static async ValueTask<IStorage?> LockReplacedAsync(IStorageResolver resolver, string name, CancellationToken cancellationToken)
    {
        if (!resolver.Exists(name))
        {
            return null;
        }

        var storage = await resolver.OpenAsync(name, StorageOpenOptions.ForWriting, cancellationToken).ConfigureAwait(false);
        if (storage.Traits.IsBlockDevice)
        {
            await storage.DisposeAsync().ConfigureAwait(false);
            throw new UnsupportedImageException($"'{name}' is a block device, which an image cannot be created in the place of. Write onto it instead.", name);
        }

        return storage;
    }
}
