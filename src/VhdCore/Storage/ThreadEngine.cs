using VhdCore.Errors;

namespace VhdCore.Storage;

/// <summary>
/// Threads that wait: the engine where there is no ring, and beside one for what a ring cannot do without waiting. Threads come as requests queue
/// and go when they are idle.
/// </summary>
/// <remarks>The runtime's own pool adds threads far too slowly for work that only waits.</remarks>
internal sealed class ThreadEngine(string description = "threads") : IoEngine
{
    /// <summary>Threads at most, so requests under way at once.</summary>
    public const int MaxThreads = 32;

    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(5);

    private readonly object _gate = new(); // a monitor: Lock cannot be waited on
    private IoRequestQueue _queue; // not readonly: a mutable struct
    private int _held; // queued and under way
    private int _queued;
    private int _threads;
    private int _idle;
    private bool _isClosed;

    public override string Description => description;

    public override bool TrySubmit(IoRequest request)
    {
        lock (_gate)
        {
            if (_isClosed || _held >= MaxHeld)
            {
                return false;
            }

            if (_idle <= _queued && _threads < MaxThreads)
            {
                try
                {
                    new Thread(Run, maxStackSize: 256 << 10) { IsBackground = true, Name = "vhdkit i/o" }.Start();
                    _threads++;
                }
                catch (OutOfMemoryException) when (_threads > 0)
                {
                    // No more threads are to be had; those there are will get to it.
                }
                catch (OutOfMemoryException)
                {
                    return false;
                }
            }

            _held++;
            _queued++;
            _queue.Add(request);
            Monitor.Pulse(_gate);
            return true;
        }
    }

    // A system call that a thread waits in cannot be ended; a queued request sees the mark when its turn comes.
    public override void Cancel(IoRequest request, short version)
    {
    }

    protected override void Dispose(bool isDisposing)
    {
        lock (_gate)
        {
            _isClosed = true;
            Monitor.PulseAll(_gate);
            while (_threads > 0)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    private void Run()
    {
        while (Take() is { } request)
        {
            var status = request.IsCancelRequested ? BlockStatus.Cancelled : request.Target.Run(request);
            lock (_gate)
            {
                _held--;
            }

            request.Complete(status);
        }
    }

    /// <returns>Null when the thread is to end.</returns>
    private IoRequest? Take()
    {
        lock (_gate)
        {
            while (_queue.IsEmpty)
            {
                _idle++;
                var isWoken = !_isClosed && Monitor.Wait(_gate, IdleTime);
                _idle--;
                if (!isWoken && _queue.IsEmpty)
                {
                    _threads--;
                    Monitor.PulseAll(_gate);
                    return null;
                }
            }

            _queued--;
            return _queue.Take();
        }
    }
}
