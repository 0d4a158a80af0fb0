using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Testing;

/// <summary>Named storages in memory, with the locks that files have: a writer excludes others, readers exclude writers.</summary>
public sealed class MemoryStorageResolver : IStorageResolver
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, MemoryFile> _files = [];

    /// <summary>What storages opened from now on can do; null is a file that can do everything.</summary>
    public StorageTraits? Traits { get; set; }

    /// <summary>Whether storages opened from now on can punch holes.</summary>
    public bool CanPunch { get; set; } = true;

    /// <summary>Whether storages opened from now on find everything at hand in <see cref="IStorage.TryRead"/>, or never anything.</summary>
    public bool ReadsAtOnce { get; set; } = true;

    /// <summary>Every name there is, sorted.</summary>
    public IReadOnlyList<string> Names
    {
        get
        {
            lock (_gate)
            {
                return [.. _files.Keys.Order(StringComparer.Ordinal)];
            }
        }
    }

    /// <summary>Puts a storage there, replacing what had the name.</summary>
    public void Add(string name, ReadOnlySpan<byte> content)
    {
        var file = new MemoryFile();
        file.Replace(content);
        lock (_gate)
        {
            _files[Canonicalize(name)] = file;
        }
    }

    /// <summary>Copies a storage as it is now, whoever has it open, replacing what had the new name.</summary>
    public void Copy(string name, string newName)
    {
        lock (_gate)
        {
            _files[Canonicalize(newName)] = Find(name).Copy();
        }
    }

    /// <summary>All bytes of a storage, whoever has it open.</summary>
    public byte[] GetBytes(string name)
    {
        lock (_gate)
        {
            return Find(name).ToArray();
        }
    }

    /// <inheritdoc/>
    public ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var canonical = Canonicalize(name);
        lock (_gate)
        {
            MemoryFile file;
            if (options.CreateNew)
            {
                if (_files.ContainsKey(canonical))
                {
                    throw new StorageException($"'{canonical}' exists already.", canonical);
                }

                file = new MemoryFile();
                _files.Add(canonical, file);
            }
            else
            {
                file = Find(canonical);
            }

            Lock(file, options, canonical);
            return new(new MemoryStorage(canonical, file, this, options, Traits, CanPunch) { ReadsAtOnce = ReadsAtOnce });
        }
    }

    /// <inheritdoc/>
    public bool Exists(string name)
    {
        lock (_gate)
        {
            return _files.ContainsKey(Canonicalize(name));
        }
    }

    /// <inheritdoc/>
    public void Delete(string name)
    {
        lock (_gate)
        {
            _files.Remove(Canonicalize(name));
        }
    }

    /// <inheritdoc/>
    public string Canonicalize(string name) => StorageNames.Canonicalize(name);

    /// <inheritdoc/>
    public string Combine(string baseName, string relativeName) => StorageNames.Combine(baseName, relativeName);

    internal static void Release(MemoryFile file, StorageOpenOptions options)
    {
        lock (file.Gate)
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

    internal string Rename(string name, string newName, MemoryFile file)
    {
        var canonical = Canonicalize(newName);
        lock (_gate)
        {
            if (_files.TryGetValue(name, out var named) && named == file)
            {
                _files.Remove(name);
            }

            _files[canonical] = file;
        }

        return canonical;
    }

    private static void Lock(MemoryFile file, StorageOpenOptions options, string name)
    {
        lock (file.Gate)
        {
            if (options.Access == StorageAccess.ReadWrite)
            {
                if (file.HasWriter || file.ReaderCount > 0)
                {
                    throw new ImageInUseException($"'{name}' is open for {(file.HasWriter ? "writing" : "reading")} elsewhere.", name);
                }

                file.HasWriter = true;
            }
            else if (options.Sharing != StorageSharing.Force)
            {
                if (file.HasWriter)
                {
                    throw new ImageInUseException($"'{name}' is open for writing elsewhere.", name);
                }

                file.ReaderCount++;
            }
        }
    }

    private MemoryFile Find(string name) =>
        _files.TryGetValue(Canonicalize(name), out var file) ? file : throw new StorageException($"'{name}' does not exist.", name);
}
