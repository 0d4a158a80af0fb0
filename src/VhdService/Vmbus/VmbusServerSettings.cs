using VhdService.Vmbus.Wire;

namespace VhdService.Vmbus;

/// <summary>What tests set otherwise.</summary>
internal sealed record VmbusServerSettings
{
    /// <summary>Where workers run.</summary>
    public IWorkScheduler Scheduler { get; init; } = ThreadPoolScheduler.Instance;

    /// <summary>The highest version that a guest may choose.</summary>
    public VmbusVersion MaxVersion { get; init; } = VmbusVersion.V5_3;
}
