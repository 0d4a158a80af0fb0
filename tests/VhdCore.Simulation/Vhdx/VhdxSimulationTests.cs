using VhdCore.Layers;

namespace VhdCore.Simulation.Vhdx;

/// <summary>The durability contract for VHDX, held against cuts of the power at every step. VHDKIT_SIMULATION_CUTS raises the number, VHDKIT_SEED replays one run.</summary>
public class VhdxSimulationTests(ITestOutputHelper output)
{
    private const long DefaultCuts = 20_000;
    private const long SabotagedCuts = 400_000; // it ends with the first failure

    public static TheoryData<string> Rules => [.. Enum.GetValues<SabotagePoint>().Where(point => point != SabotagePoint.None).Select(point => point.ToString())];

    [Fact]
    public void Whatever_a_power_cut_leaves_opens_and_holds_everything_flushed()
    {
        var statistics = new VhdxCutStatistics();
        if (SimulationBudget.ReplaySeed is { } seed)
        {
            VhdxPowerCutRun.Run(seed, statistics);
            output.WriteLine(statistics.ToString());
            return;
        }

        var clock = System.Diagnostics.Stopwatch.StartNew();
        var failure = SimulationBudget.Spend(SimulationBudget.Cuts(DefaultCuts), () => statistics.Total, statistics.ToString, run => VhdxPowerCutRun.Run(run, statistics));
        output.WriteLine($"{statistics}, in {clock.Elapsed.TotalSeconds:f0} s");
        Assert.True(failure is null, failure?.Message);
        Assert.All(Enum.GetValues<VhdxCutPhase>(), phase => Assert.True(statistics[phase] > 0, $"No cut in phase {phase}."));
        Assert.True(statistics.Reopened > 0, "No world was run on after a cut.");
        Assert.True(statistics.ReplayedAgain > 0, "No replay was cut and begun again.");
        Assert.True(statistics.Kills > 0, "No process was killed.");
        Assert.True(statistics.Failures > 0, "No flush has failed.");
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public void Leaving_out_a_rule_is_noticed(string rule)
    {
        var statistics = new VhdxCutStatistics();
        Sabotage.Active = Enum.Parse<SabotagePoint>(rule);
        try
        {
            var failure = SimulationBudget.Spend(SimulationBudget.Cuts(SabotagedCuts), () => statistics.Total, statistics.ToString, run => VhdxPowerCutRun.Run(run, statistics));
            Assert.True(failure is not null, $"Without {rule} nothing was noticed: {statistics}");
            output.WriteLine($"Noticed after {statistics.Total} cuts: {failure.Message.Split('\n')[0]}");
        }
        finally
        {
            Sabotage.Active = SabotagePoint.None;
        }
    }
}
