using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Testing;

/// <summary>Real files in a folder under names such as <c>/0.img</c>, as storages in memory have them, so that whatever runs over those runs over files too.</summary>
/// <param name="folder">Where the files lie.</param>
/// <param name="io">How requests reach them, whatever their user asks for.</param>
/// <param name="usePortablePath">By .NET's calls instead of our own.</param>
internal sealed class FolderResolver(string folder, IoSettings io, bool usePortablePath = false) : IStorageResolver
{
    public ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default) =>
        new(new NamedStorage(this, FileStorage.Open(RealName(name), options with { Io = io, TemporaryFor = options.TemporaryFor is { } later ? RealName(later) : null }, usePortablePath), Canonicalize(name)));

    public bool Exists(string name) => File.Exists(RealName(name));

    public void Delete(string name) => File.Delete(RealName(name));

    public string Canonicalize(string name) => StorageNames.Canonicalize(name);

    public string Combine(string baseName, string relativeName) => StorageNames.Combine(baseName, relativeName);

    /// <summary>The file's path.</summary>
    public string RealName(string name) => Path.Combine(folder, Canonicalize(name)[1..]);

    private sealed class NamedStorage(FolderResolver resolver, FileStorage inner, string name) : IStorage
    {
        public string Name { get; private set; } = name;

        public StorageTraits Traits => inner.Traits;

        public long Length => inner.Length;

        public long TryRead(long offset, BlockBuffers into, long start, long length) => inner.TryRead(offset, into, start, length);

        public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(offset, into, start, length, cancellationToken);

        public ValueTask<BlockStatus> WriteAsync(
            long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
            inner.WriteAsync(offset, from, start, length, flags, cancellationToken);

        public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

        public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default) => inner.SetLengthAsync(length, cancellationToken);

        public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default) =>
            inner.PunchHoleAsync(offset, length, cancellationToken);

        public StorageRun Map(long offset, long length) => inner.Map(offset, length);

        public async ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default)
        {
            var status = await inner.RenameAsync(resolver.RealName(newName), cancellationToken);
            Name = status == BlockStatus.Ok ? resolver.Canonicalize(newName) : Name;
            return status;
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
