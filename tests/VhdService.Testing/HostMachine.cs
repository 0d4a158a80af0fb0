using VhdService.Scsi;
using VhdService.Storvsp;
using VhdService.Vmbus;

namespace VhdService.Testing;

/// <summary>A guest and its host: processors, memory, a bus, and one controller.</summary>
internal sealed class HostMachine : IAsyncDisposable
{
    private readonly List<string> _log = [];

    public HostMachine(IWorld world, int processors = 1, int ramPages = 2048, int seed = 1, VmbusServerSettings? settings = null, StorvspOptions? options = null, int maxTransferBytes = 1 << 20)
    {
        World = world;
        Ram = new GuestRam(ramPages, seed);
        Processors = new FakeProcessors(Ram, world, processors, log: Log);
        Bus = new VmbusServer(Processors.Partition, (settings ?? new VmbusServerSettings()) with { Scheduler = world.Scheduler });
        Target = new ScsiTarget(maxTransferBytes);
        Controller = new StorvspController(Bus, Target, options);
        Guest = new GuestBus(Ram, Processors, world);
    }

    public IWorld World { get; }

    public GuestRam Ram { get; }

    public FakeProcessors Processors { get; }

    public VmbusServer Bus { get; }

    public ScsiTarget Target { get; }

    public StorvspController Controller { get; }

    /// <summary>The guest's end of the bus.</summary>
    public GuestBus Guest { get; }

    /// <summary>What the host was told about the guest.</summary>
    public IReadOnlyList<string> Complaints
    {
        get
        {
            lock (_log)
            {
                return [.. _log];
            }
        }
    }

    /// <summary>In a pumped world: lets the host do all that there is to do.</summary>
    public void Pump() => ((PumpedWorld)World).RunAll();

    /// <summary>From power-on to offers.</summary>
    public ChannelOffer Boot()
    {
        Processors.Boot();
        Guest.Connect();
        Guest.RequestOffers();
        return Guest.Offers[0];
    }

    /// <summary>From power-on to a driver that is ready.</summary>
    public GuestStorvsc Start(int ringPages = GuestChannel.DefaultRingPages) => GuestStorvsc.Start(Guest, Boot(), ringPages);

    /// <summary>From power-on to a probed disk.</summary>
    public MiniSd StartDisk(int lun = 0)
    {
        var disk = new MiniSd(Start(), lun);
        disk.Probe();
        return disk;
    }

    public async ValueTask DisposeAsync()
    {
        var closing = CloseAsync();
        while (!closing.IsCompleted)
        {
            World.Step();
        }

        await closing;
        var faults = Bus.FaultCount + Controller.FaultCount;
        Ram.Dispose();
        if (faults > 0)
        {
            throw new InvalidOperationException($"The host failed {faults} times: {string.Join(' ', Complaints)}");
        }
    }

    private async Task CloseAsync()
    {
        await Controller.DisposeAsync();
        await Bus.DisposeAsync();
        Processors.Dispose();
    }

    private void Log(string sentence)
    {
        lock (_log)
        {
            _log.Add(sentence);
        }
    }
}
