using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>Opens a chain for writing as the library's door does, but with a clock that never strikes, so that no commit comes by itself.</summary>
internal static class SimulatedDisk
{
    public static async Task<SimulatedChain> OpenAsync(CrashWorld world)
    {
        var gate = new InFlightGate();
        var chain = await ChainOpener.OpenAsync(SimulationPlan.Leaf, new ImageOpenOptions { Writable = true }, world, gate, CancellationToken.None);
        var info = new BlockDeviceInfo { Name = SimulationPlan.Leaf };
        return new SimulatedChain(new ChainDevice(chain.State, gate, info, new StoppedClock()));
    }

    private sealed class StoppedClock : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new StoppedTimer();
    }

    private sealed class StoppedTimer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}

/// <summary>An open chain.</summary>
internal sealed class SimulatedChain(ChainDevice device)
{
    public IBlockDevice Device => device;

    public async Task<Errors.BlockStatus> CloseAsync() => await device.CloseAsync();
}
