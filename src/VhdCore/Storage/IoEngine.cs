namespace VhdCore.Storage;

/// <summary>Does requests that their callers do not wait for. Any thread may submit.</summary>
internal abstract class IoEngine : IDisposable
{
    /// <summary>Requests that one engine holds, queued and under way; who asks for more does it himself.</summary>
    public const int MaxHeld = 8192;

    /// <summary>Which it is, and why not another; for people.</summary>
    public abstract string Description { get; }

    /// <summary>Takes a request: it will be completed exactly once.</summary>
    /// <returns>False when the engine is full or closed; the request is still the caller's then.</returns>
    public abstract bool TrySubmit(IoRequest request);

    /// <summary>
    /// Tries to end a request early. It completes all the same, as cancelled or done, and not before the kernel has let go of its memory. The request may
    /// have completed meanwhile, and be in another use: <paramref name="version"/> tells.
    /// </summary>
    public abstract void Cancel(IoRequest request, short version);

    /// <summary>Takes no more requests, and returns when those taken have completed. Not to be called by a continuation that runs on the engine's own thread.</summary>
    public void Dispose()
    {
        Dispose(isDisposing: true);
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc cref="Dispose()"/>
    protected abstract void Dispose(bool isDisposing);
}
