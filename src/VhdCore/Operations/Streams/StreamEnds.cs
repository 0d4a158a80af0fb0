using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Operations.Streams;

/// <summary>
/// What is kept of a stream, its first bytes and its last ones, as a storage, so that what judges files judges it too. What lies between reads as zeros.
/// </summary>
internal sealed class StreamEnds(string name, ReadOnlyMemory<byte> front, ReadOnlyMemory<byte> tail, long length) : IStorage
{
    /// <summary>Bytes of a stream whose end is not known: more than any has.</summary>
    public const long Endless = 1L << 62;

    public string Name => name;

    public StorageTraits Traits { get; } = new();

    public long Length => length;

    public long TryRead(long offset, BlockBuffers into, long start, long count) => 0;

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long count, CancellationToken cancellationToken = default)
    {
        if (offset < 0 || count < 0 || offset > length || count > length - offset)
        {
            return new(BlockStatus.OutOfRange);
        }

        into.Clear(start, count);
        Copy(front, 0, offset, into, start, count);
        Copy(tail, length - tail.Length, offset, into, start, count);
        return new(BlockStatus.Ok);
    }

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, long start, long count, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) => new(BlockStatus.ReadOnly);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => new(BlockStatus.Ok);

    public ValueTask<BlockStatus> SetLengthAsync(long newLength, CancellationToken cancellationToken = default) => new(BlockStatus.ReadOnly);

    public ValueTask<BlockStatus> PunchHoleAsync(long offset, long count, CancellationToken cancellationToken = default) => new(BlockStatus.ReadOnly);

    public StorageRun Map(long offset, long count) => new(false, count);

    public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default) => new(BlockStatus.Unsupported);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static void Copy(ReadOnlyMemory<byte> kept, long keptOffset, long offset, BlockBuffers into, long start, long count)
    {
        var first = Math.Max(offset, keptOffset);
        var end = Math.Min(offset + count, keptOffset + kept.Length);
        if (first < end)
        {
            into.CopyFrom(start + first - offset, kept.Span[(int)(first - keptOffset)..(int)(end - keptOffset)]);
        }
    }
}
