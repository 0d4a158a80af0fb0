using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Tests.Vhdx;

/// <summary>An array for reading, without a copy of it: for tests that open thousands of images.</summary>
internal sealed class ArrayStorage(byte[] bytes, string name) : IStorage
{
    public string Name => name;

    public StorageTraits Traits { get; } = new();

    public long Length => bytes.Length;

    public long TryRead(long offset, BlockBuffers into, long start, long length)
    {
        var moved = Math.Max(0, Math.Min(length, bytes.Length - offset));
        if (moved > 0)
        {
            into.CopyFrom(start, bytes.AsSpan((int)offset, (int)moved));
        }

        return moved;
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(offset < 0 || TryRead(offset, into, start, length) < length ? BlockStatus.OutOfRange : BlockStatus.Ok);

    public ValueTask<BlockStatus> WriteAsync(
        long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(BlockStatus.ReadOnly);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.Ok);

    public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.ReadOnly);

    public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.ReadOnly);

    public StorageRun Map(long offset, long length) => new(IsHole: false, length);

    public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default) => ValueTask.FromResult(BlockStatus.ReadOnly);

    public ValueTask DisposeAsync() => default;
}
