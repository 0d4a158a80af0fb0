using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace CustomStorage;

/// <summary>
/// What VhdKit asks of a medium. Failures are statuses, never exceptions, and any thread may call at any time. Memory is always at hand, so everything
/// completes at once; a slower medium answers 0 from <see cref="TryRead"/> and does its work in the asynchronous methods.
/// </summary>
internal sealed class MemoryStorage(MemoryResolver resolver, string name, MemoryFile file, StorageAccess access) : IStorage
{
    public string Name { get; private set; } = name;

    public StorageTraits Traits { get; } = new() { CanWrite = access == StorageAccess.ReadWrite };

    public long Length
    {
        get
        {
            lock (file.Gate)
            {
                return file.Length;
            }
        }
    }

    public long TryRead(long offset, BlockBuffers into, long start, long length)
    {
        lock (file.Gate)
        {
            var atHand = Math.Min(length, file.Length - offset);
            if (atHand <= 0)
            {
                return 0;
            }

            into.CopyFrom(start, file.Read(offset, atHand));
            return atHand;
        }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(TryRead(offset, into, start, length) == length ? BlockStatus.Ok : BlockStatus.OutOfRange);

    public ValueTask<BlockStatus> WriteAsync(
        long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        if (!Traits.CanWrite)
        {
            return ValueTask.FromResult(BlockStatus.ReadOnly);
        }

        if (offset > Array.MaxLength - length)
        {
            return ValueTask.FromResult(BlockStatus.NoSpace);
        }

        lock (file.Gate)
        {
            from.CopyTo(start, file.Write(offset, length));
        }

        return ValueTask.FromResult(BlockStatus.Ok);
    }

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default)
    {
        lock (file.Gate)
        {
            file.Flush(); // memory has nothing to wait for; a medium that can lose power must, before it answers
        }

        return ValueTask.FromResult(BlockStatus.Ok);
    }

    public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default)
    {
        if (length > Array.MaxLength)
        {
            return ValueTask.FromResult(BlockStatus.NoSpace);
        }

        lock (file.Gate)
        {
            file.SetLength(length);
        }

        return ValueTask.FromResult(BlockStatus.Ok);
    }

    // A medium may lack what is only there to save space: zeros are written instead.
    public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(BlockStatus.Unsupported);

    public StorageRun Map(long offset, long length) => new(IsHole: false, length);

    public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default)
    {
        resolver.Rename(Name, newName);
        Name = newName;
        return ValueTask.FromResult(BlockStatus.Ok);
    }

    public ValueTask DisposeAsync() => default;
}
