using System.Collections.Concurrent;
using VhdCore.Errors;
using VhdCore.Storage;

namespace CustomStorage;

/// <summary>The only way from a name to a storage: images, their parents and temporary names all pass here. It could look up anything, such as keys of a database.</summary>
internal sealed class MemoryResolver : IStorageResolver
{
    private readonly ConcurrentDictionary<string, MemoryFile> _files = new();

    public MemoryFile this[string name] => _files[name];

    public ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default)
    {
        MemoryFile? file;
        if (options.CreateNew)
        {
            file = new MemoryFile();
            if (!_files.TryAdd(name, file))
            {
                throw new StorageException($"'{name}' exists already. Choose another name.", name);
            }
        }
        else if (!_files.TryGetValue(name, out file))
        {
            throw new StorageException($"there is no '{name}' in memory.", name);
        }

        return ValueTask.FromResult<IStorage>(new MemoryStorage(this, name, file, options.Access));
    }

    public bool Exists(string name) => _files.ContainsKey(name);

    public void Delete(string name) => _files.TryRemove(name, out _);

    public void Rename(string name, string newName)
    {
        if (_files.TryRemove(name, out var file))
        {
            _files[newName] = file;
        }
    }

    // These names are flat: there are no folders, and each storage has one spelling.
    public string Canonicalize(string name) => name;

    public string Combine(string baseName, string relativeName) => relativeName;
}
