using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCli.Tests;

/// <summary>Files, with something to be done before each larger read of one of them. It has no holes: everything is read.</summary>
internal sealed class WatchingResolver(string watched, Func<long, ValueTask> beforeRead) : IStorageResolver
{
    private readonly FileStorageResolver _inner = new();

    public async ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default)
    {
        var storage = await _inner.OpenAsync(name, options, cancellationToken);
        return name == watched ? new Watched(storage, beforeRead) : storage;
    }

    public bool Exists(string name) => _inner.Exists(name);

    public void Delete(string name) => _inner.Delete(name);

    public string Canonicalize(string name) => _inner.Canonicalize(name);

    public string Combine(string baseName, string relativeName) => _inner.Combine(baseName, relativeName);

    private sealed class Watched(IStorage inner, Func<long, ValueTask> beforeRead) : IStorage
    {
        public string Name => inner.Name;

        public StorageTraits Traits => inner.Traits;

        public long Length => inner.Length;

        public long TryRead(long offset, BlockBuffers into, long start, long length) => 0;

        public async ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default)
        {
            if (length > 4096)
            {
                await beforeRead(offset);
            }

            return await inner.ReadAsync(offset, into, start, length, cancellationToken);
        }

        public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
            inner.WriteAsync(offset, from, start, length, flags, cancellationToken);

        public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

        public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default) => inner.SetLengthAsync(length, cancellationToken);

        public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default) =>
            inner.PunchHoleAsync(offset, length, cancellationToken);

        public StorageRun Map(long offset, long length) => new(false, length);

        public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default) => inner.RenameAsync(newName, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
