using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Testing.Faults;

/// <summary>A storage that goes wrong as a <see cref="FaultPlan"/> says. Owns the one it wraps.</summary>
public sealed class FaultStorage(IStorage inner, FaultPlan plan) : IStorage
{
    /// <inheritdoc/>
    public string Name => inner.Name;

    /// <inheritdoc/>
    public StorageTraits Traits => inner.Traits;

    /// <inheritdoc/>
    public long Length => inner.Length;

    /// <summary>The storage below.</summary>
    public IStorage Inner => inner;

    /// <inheritdoc/>
    public long TryRead(long offset, BlockBuffers into, long start, long length)
    {
        var wanted = length > 0 ? plan.Shorten(offset, length) : length;
        return wanted == 0 || plan.Enter(StorageOperation.Read, Name, growth: 0) != BlockStatus.Ok ? 0 : inner.TryRead(offset, into, start, wanted);
    }

    /// <inheritdoc/>
    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default) =>
        RunAsync(
            StorageOperation.Read,
            growth: 0,
            offset,
            length,
            (at, run) => inner.ReadAsync(offset + at, into, start + at, run, cancellationToken));

    /// <inheritdoc/>
    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        RunAsync(
            StorageOperation.Write,
            growth: offset < 0 || length < 0 ? 0 : offset - inner.Length + length,
            offset,
            length,
            (at, run) => inner.WriteAsync(offset + at, from, start + at, run, flags, cancellationToken));

    /// <inheritdoc/>
    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) =>
        RunAsync(StorageOperation.Flush, growth: 0, offset: 0, length: 0, (_, _) => inner.FlushAsync(cancellationToken));

    /// <inheritdoc/>
    public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default) =>
        RunAsync(StorageOperation.SetLength, growth: 0, offset: 0, length: 0, (_, _) => inner.SetLengthAsync(length, cancellationToken));

    /// <inheritdoc/>
    public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        RunAsync(StorageOperation.Punch, growth: 0, offset: 0, length: 0, (_, _) => inner.PunchHoleAsync(offset, length, cancellationToken));

    /// <inheritdoc/>
    public StorageRun Map(long offset, long length)
    {
        plan.CountMap();
        return inner.Map(offset, length);
    }

    /// <inheritdoc/>
    public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default) =>
        RunAsync(StorageOperation.Rename, growth: 0, offset: 0, length: 0, (_, _) => inner.RenameAsync(newName, cancellationToken));

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private async ValueTask<BlockStatus> RunAsync(StorageOperation operation, long growth, long offset, long length, Func<long, long, ValueTask<BlockStatus>> run)
    {
        var status = plan.Enter(operation, Name, growth);
        await LetOthersGoFirstAsync();
        if (status != BlockStatus.Ok)
        {
            return status;
        }

        if (plan.PieceSize == 0 || length <= plan.PieceSize)
        {
            status = await run(0, length);
        }
        else
        {
            long piece;
            for (long done = 0; done < length && status == BlockStatus.Ok; done += piece)
            {
                piece = Math.Min(plan.PieceSize - ((offset + done) % plan.PieceSize), length - done);
                status = await run(done, piece);
                await LetOthersGoFirstAsync();
            }
        }

        await LetOthersGoFirstAsync();
        return status;
    }

    private async ValueTask LetOthersGoFirstAsync()
    {
        for (var i = plan.Delay(); i > 0; i--)
        {
            await Task.Yield();
        }
    }
}
