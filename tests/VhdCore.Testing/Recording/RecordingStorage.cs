using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing.Faults;

namespace VhdCore.Testing.Recording;

/// <summary>A storage whose changes and flushes are told. Owns the one it wraps.</summary>
internal sealed class RecordingStorage(IStorage inner, RecordingResolver record) : IStorage
{
    public string Name => inner.Name;

    public StorageTraits Traits => inner.Traits;

    public long Length => inner.Length;

    public long TryRead(long offset, BlockBuffers into, long start, long length) => inner.TryRead(offset, into, start, length);

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default) =>
        inner.ReadAsync(offset, into, start, length, cancellationToken);

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        record.Add(new RecordedOperation(Name, StorageOperation.Write, offset, length));
        return record.Hold is { IsCompleted: false } hold
            ? WriteAfterAsync(hold, offset, from, start, length, flags, cancellationToken)
            : inner.WriteAsync(offset, from, start, length, flags, cancellationToken);
    }

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default)
    {
        record.Add(new RecordedOperation(Name, StorageOperation.Flush, 0, 0));
        return inner.FlushAsync(cancellationToken);
    }

    public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default)
    {
        record.Add(new RecordedOperation(Name, StorageOperation.SetLength, length, 0));
        return inner.SetLengthAsync(length, cancellationToken);
    }

    public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        record.Add(new RecordedOperation(Name, StorageOperation.Punch, offset, length));
        return inner.PunchHoleAsync(offset, length, cancellationToken);
    }

    public StorageRun Map(long offset, long length) => inner.Map(offset, length);

    public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default) => inner.RenameAsync(newName, cancellationToken);

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private async ValueTask<BlockStatus> WriteAfterAsync(
        Task hold, long offset, BlockBuffers from, long start, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        await hold;
        return await inner.WriteAsync(offset, from, start, length, flags, cancellationToken);
    }
}
