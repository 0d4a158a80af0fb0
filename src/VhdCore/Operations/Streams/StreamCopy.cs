using VhdCore.Devices;
using VhdCore.Errors;

namespace VhdCore.Operations.Streams;

/// <summary>Copies what comes out of a stream: while one piece is written, the next ones come.</summary>
internal static class StreamCopy
{
    /// <summary>Copies all of it.</summary>
    public static async Task<ConvertResult> RunAsync(StreamSource source, IBlockDevice target, ConvertOptions options, ProgressMeter progress, CancellationToken cancellationToken)
    {
        ConvertOperation.CheckSparseSize(options.SparseSize);
        var jobs = ConvertOperation.JobCount(options.Jobs);
        var writer = new TargetWriter(target, options);
        var all = new List<WorkerBuffer>(jobs);
        var free = new Stack<WorkerBuffer>(jobs);
        long read = 0;
        try
        {
            using var workers = new ItemWorkers<Item>(jobs, options.WriteInOrder);
            await workers.RunAsync(NextAsync, WriteAsync, cancellationToken).ConfigureAwait(false);
            return new ConvertResult(read, writer.BytesWritten, writer.BytesZero);
        }
        finally
        {
            all.ForEach(static buffer => buffer.Dispose());
        }

        // Never called twice at once; a buffer is free for each worker that asks.
        async ValueTask<Item?> NextAsync(CancellationToken token)
        {
            var buffer = Rent();
            var piece = await source.Content.NextAsync(buffer, token).ConfigureAwait(false);
            if (piece is not { IsZero: false } data)
            {
                Return(buffer);
                return piece is { } zeros ? new Item(zeros, null) : null;
            }

            read += data.Length;
            return new Item(data, buffer);
        }

        async ValueTask WriteAsync(Item item, int worker, ItemWorkers<Item>.Turn turn, CancellationToken token)
        {
            var (piece, buffer) = item;
            if (piece.Offset > target.Length || piece.Length > target.Length - piece.Offset)
            {
                throw new StorageException($"the input is longer than the {target.Length} bytes that the target has. Give it a larger target.", target.Info.Name, status: BlockStatus.OutOfRange);
            }

            await turn.WaitAsync(token).ConfigureAwait(false);
            if (buffer is null)
            {
                await writer.ZeroAsync(piece.Offset, piece.Length, token).ConfigureAwait(false);
            }
            else
            {
                await writer.WriteAsync(piece.Offset, buffer, (int)piece.Length, token).ConfigureAwait(false);
                Return(buffer);
            }

            progress.Add(piece.Length);
        }

        WorkerBuffer Rent()
        {
            lock (free)
            {
                if (free.TryPop(out var buffer))
                {
                    return buffer;
                }

                var made = new WorkerBuffer(DiskStreamContent.BufferSize);
                all.Add(made);
                return made;
            }
        }

        void Return(WorkerBuffer buffer)
        {
            lock (free)
            {
                free.Push(buffer);
            }
        }
    }

    /// <summary>A piece on its way.</summary>
    private readonly record struct Item(StreamPiece Piece, WorkerBuffer? Buffer);
}
