using VhdService.Scsi;
using VhdService.Vmbus;

namespace VhdService.Storvsp;

/// <summary>
/// A synthetic SCSI controller on a VMBus: the disks of a <see cref="ScsiTarget"/> for a guest's own driver (hv_storvsc in Linux). Disks may be attached to and
/// detached from the target while the guest runs.
/// </summary>
public sealed class StorvspController : IVmbusDevice, IAsyncDisposable
{
    private readonly VmbusServer _bus;
    private readonly StorvspOptions _options;
    private readonly StorvspSession _session;
    private readonly Lock _lock = new();
    private readonly List<StorvspChannel> _open = [];
    private readonly long[] _signalsSaved = new long[ScsiTarget.MaxUnits]; // by channels that have been closed
    private long _completionCount; // likewise
    private long _signalCount;
    private volatile StorvspChannel? _first;
    private int _faultCount;
    private int _isDisposed;

    /// <summary>Puts a controller on a bus.</summary>
    /// <param name="bus">The guest's.</param>
    /// <param name="target">The disks; this controller's alone.</param>
    /// <param name="options">How it shows itself; null gives it a random identity.</param>
    public StorvspController(VmbusServer bus, ScsiTarget target, StorvspOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(bus);
        ArgumentNullException.ThrowIfNull(target);
        _bus = bus;
        _options = options ?? new StorvspOptions();
        Target = target;
        _session = new StorvspSession(Math.Min(_options.MaxSubChannels, bus.ProcessorCount - 1), target.MaxTransferBytes);
        target.UnitsChanged += OnUnitsChanged;
        bus.Add(this);
    }

    /// <summary>The disks.</summary>
    public ScsiTarget Target { get; }

    /// <summary>What the controller has done so far.</summary>
    public StorvspStatistics Statistics
    {
        get
        {
            lock (_lock)
            {
                var units = Target.Units.Select(unit => new StorvspUnitStatistics(
                    unit.Lun, unit.Disk.Statistics, _signalsSaved[unit.Lun] + _open.Sum(channel => channel.SignalsSaved(unit.Lun))));
                return new StorvspStatistics
                {
                    Units = [.. units],
                    OpenChannels = _open.Count,
                    CompletionCount = _completionCount + _open.Sum(channel => channel.CompletionCount),
                    SignalCount = _signalCount + _open.Sum(channel => channel.SignalCount),
                };
            }
        }
    }

    Guid IVmbusDevice.InterfaceType { get; } = new("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"); // SCSI controller

    Guid IVmbusDevice.InstanceId => _options.InstanceId;

    internal StorvspSession Session => _session;

    /// <summary>Faults of this program that cost a channel; a test wants none.</summary>
    internal int FaultCount => Volatile.Read(ref _faultCount);

    /// <summary>Takes the controller off the bus, as pulling it out would, and waits for what is under way. The disks stay their owner's.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        Target.UnitsChanged -= OnUnitsChanged;
        await _bus.RemoveAsync(this).ConfigureAwait(false);
    }

    ChannelWorker IVmbusDevice.Open(OpenChannel channel)
    {
        var worker = new StorvspChannel(this, channel, _bus.Scheduler);
        lock (_lock)
        {
            _open.Add(worker);
        }

        if (channel.SubChannelIndex == 0)
        {
            _session.Restart();
            _first = worker;
        }

        return worker;
    }

    /// <summary>A channel failed by a mistake of this program.</summary>
    internal void CountFault() => Interlocked.Increment(ref _faultCount);

    /// <summary>A channel has stopped: its numbers stay.</summary>
    internal void OnStopped(StorvspChannel channel)
    {
        lock (_lock)
        {
            if (!_open.Remove(channel))
            {
                return;
            }

            _completionCount += channel.CompletionCount;
            _signalCount += channel.SignalCount;
            for (var lun = 0; lun < _signalsSaved.Length; lun++)
            {
                _signalsSaved[lun] += channel.SignalsSaved(lun);
            }
        }

        Interlocked.CompareExchange(ref _first, null, channel);
    }

    private void OnUnitsChanged() => _first?.AnnounceUnits();
}
