using VhdCore.Layers;

[assembly: CollectionBehavior(DisableTestParallelization = true)] // the switch is one for the process, and the simulation uses every core

namespace VhdCore.Simulation;

/// <summary>A simulation that never fails proves nothing: with each rule of the write protocol left out, it must.</summary>
public class SabotageTests(ITestOutputHelper output)
{
    // Most are noticed within some thousands; what takes two requests at just the wrong time may take longer. It ends with the first failure.
    private const long UsualCuts = 400_000;

    // A VHD has no log, and no header to update.
    private static readonly SabotagePoint[] OthersRules =
    [
        SabotagePoint.None,
        SabotagePoint.SessionBarrier,
        SabotagePoint.ReplayBarrier,
        SabotagePoint.HeaderBarrier,
        SabotagePoint.LogBeforePages,
        SabotagePoint.FlushedLength,
        SabotagePoint.LengthInLog,
        SabotagePoint.ClearedBits,
        SabotagePoint.BitBarrier,
        SabotagePoint.FaultStays, // no flush fails there
    ];

    public static TheoryData<string> Rules => [.. Enum.GetValues<SabotagePoint>().Except(OthersRules).Select(point => point.ToString())];

    [Theory]
    [MemberData(nameof(Rules))]
    public void Leaving_out_a_rule_is_noticed(string rule)
    {
        var statistics = new CutStatistics();
        Sabotage.Active = Enum.Parse<SabotagePoint>(rule);
        try
        {
            var failure = SimulationBudget.Spend(SimulationBudget.Cuts(UsualCuts), () => statistics.Total, statistics.ToString, seed => PowerCutRun.Run(seed, statistics));
            Assert.True(failure is not null, $"Without {rule} nothing was noticed: {statistics}");
            output.WriteLine($"Noticed after {statistics.Total} cuts: {failure.Message.Split('\n')[0]}");
        }
        finally
        {
            Sabotage.Active = SabotagePoint.None;
        }
    }
}
