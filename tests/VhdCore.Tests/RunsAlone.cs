namespace VhdCore.Tests;

/// <summary>Tests that measure what the whole process has or shares (descriptors, memory, pools of requests and buffers), and so run while no other test does.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class RunsAlone
{
    public const string Name = "runs alone";
}
