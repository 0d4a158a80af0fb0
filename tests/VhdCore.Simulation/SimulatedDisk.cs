using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>Opens a chain for writing as the library's door does, but with a clock that never strikes.</summary>
internal static class SimulatedDisk
{
    public static async Task<ChainDevice> OpenAsync(CrashWorld world, string leaf)
    {
        var gate = new InFlightGate();
        var chain = await ChainOpener.OpenAsync(leaf, new ImageOpenOptions { Writable = true }, world, gate, CancellationToken.None);
        return new ChainDevice(chain.State, gate, new BlockDeviceInfo { Name = leaf }, new StoppedClock());
    }

    /// <summary>Opens it; null when the process was killed meanwhile, or the medium has failed.</summary>
    public static async Task<ChainDevice?> OpenUnlessKilledAsync(CrashWorld world, string leaf)
    {
        var mayBeKilled = world.IsKillPending;
        try
        {
            var disk = await OpenAsync(world, leaf);
            return mayBeKilled && !world.IsKillPending ? null : disk;
        }
        catch (ImageException) when ((mayBeKilled && !world.IsKillPending) || world.HasFlushFailed)
        {
            return null;
        }
    }
}
