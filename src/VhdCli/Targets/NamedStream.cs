using VhdCore.Errors;

namespace VhdCli.Targets;

/// <summary>Opens pipes and the like by their names.</summary>
internal static class NamedStream
{
    /// <summary>Opens one. A named pipe waits for somebody at its other end.</summary>
    /// <exception cref="StorageException">It cannot be opened.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled while it waited.</exception>
    public static async ValueTask<Stream> OpenAsync(string path, FileAccess access, CancellationToken cancellationToken)
    {
        // Nothing ends the wait for the other end but the other end: it is left behind, and what it opens is closed.
        var opening = Task.Run(() => new FileStream(path, FileMode.Open, access, FileShare.ReadWrite, bufferSize: 0), CancellationToken.None);
        try
        {
            return await opening.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            _ = opening.ContinueWith(static late => late.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            throw;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"it cannot be opened for {(access == FileAccess.Read ? "reading" : "writing")}: {error.Message}", path, inner: error);
        }
    }
}
