namespace VhdCore.Operations;

/// <summary>
/// A few workers that take items from one planner, in order, and work on them side by side.
/// </summary>
/// <param name="jobs">How many.</param>
/// <param name="ordered">What has to happen in the items' order waits for its turn. Otherwise every turn is at once.</param>
/// <remarks>Items in flight are bounded by the number of workers. The first failure stops all workers and is the one that is thrown.</remarks>
internal sealed class ItemWorkers<TItem>(int jobs, bool ordered) : IDisposable
    where TItem : struct
{
    private readonly SemaphoreSlim _planner = new(1);
    private Task _lastTurn = Task.CompletedTask;
    private Exception? _failure;

    /// <summary>Runs until <paramref name="next"/> answers null. It is never called twice at once.</summary>
    /// <param name="next">Plans the next item.</param>
    /// <param name="work">Works on one; the worker's number is below the number of jobs.</param>
    /// <param name="cancellationToken">Stops the workers.</param>
    public async Task RunAsync(
        Func<CancellationToken, ValueTask<TItem?>> next,
        Func<TItem, int, Turn, CancellationToken, ValueTask> work,
        CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var workers = new Task[jobs];
        for (var i = 0; i < jobs; i++)
        {
            var worker = i;
            workers[i] = Task.Run(() => WorkAsync(worker, next, work, stop), CancellationToken.None);
        }

        await Task.WhenAll(workers).ConfigureAwait(false);
        if (_failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_failure);
        }

        cancellationToken.ThrowIfCancellationRequested();
    }

    public void Dispose() => _planner.Dispose();

    private async Task WorkAsync(
        int worker,
        Func<CancellationToken, ValueTask<TItem?>> next,
        Func<TItem, int, Turn, CancellationToken, ValueTask> work,
        CancellationTokenSource stop)
    {
        try
        {
            while (true)
            {
                TItem? item;
                Turn turn;
                await _planner.WaitAsync(stop.Token).ConfigureAwait(false);
                try
                {
                    item = await next(stop.Token).ConfigureAwait(false);
                    if (item is null)
                    {
                        return;
                    }

                    turn = new Turn(_lastTurn);
                    _lastTurn = ordered ? turn.Ended : Task.CompletedTask;
                }
                finally
                {
                    _planner.Release();
                }

                await work(item.Value, worker, turn, stop.Token).ConfigureAwait(false);

                // An item that needed no turn must not let later ones pass earlier ones.
                await turn.WaitAsync(stop.Token).ConfigureAwait(false);
                turn.End();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Another worker's failure or the caller's wish; both are thrown by RunAsync.
        }
        catch (Exception failure)
        {
            Interlocked.CompareExchange(ref _failure, failure, null);
            await stop.CancelAsync().ConfigureAwait(false);
        }
    }

    /// <summary>An item's place in the order.</summary>
    internal sealed class Turn(Task previous)
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Ended => _ended.Task;

        /// <summary>Waits until all earlier items are done.</summary>
        public Task WaitAsync(CancellationToken cancellationToken) =>
            previous.IsCompleted ? Task.CompletedTask : previous.WaitAsync(cancellationToken);

        public void End() => _ended.TrySetResult();
    }
}
