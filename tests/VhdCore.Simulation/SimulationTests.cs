namespace VhdCore.Simulation;

/// <summary>The durability contract, held against cuts of the power at every step. VHDKIT_SIMULATION_CUTS raises the number, VHDKIT_SEED replays one run.</summary>
/// <remarks>
/// The simulation stands in place of the medium, and engines are the way to one: it says nothing of them. What lies between is held over both engines by the conformance suite, the model tests in
/// files, and the kill tests of VhdCore.Interop.
/// </remarks>
public class SimulationTests(ITestOutputHelper output)
{
    private const long DefaultCuts = 40_000;
    private const int SmallScripts = 12;

    [Fact]
    public void Whatever_a_power_cut_leaves_opens_and_holds_everything_flushed()
    {
        var statistics = new CutStatistics();
        if (SimulationBudget.ReplaySeed is { } seed)
        {
            PowerCutRun.Run(seed, statistics);
            output.WriteLine(statistics.ToString());
            return;
        }

        var clock = System.Diagnostics.Stopwatch.StartNew();
        var failure = SimulationBudget.Spend(SimulationBudget.Cuts(DefaultCuts), () => statistics.Total, statistics.ToString, seed => PowerCutRun.Run(seed, statistics));
        output.WriteLine($"{statistics}, in {clock.Elapsed.TotalSeconds:f0} s");
        Assert.True(failure is null, failure?.Message);
        Assert.All(Enum.GetValues<CutPhase>(), phase => Assert.True(statistics[phase] > 0, $"No cut in phase {phase}."));
        Assert.True(statistics.Reopened > 0, "No world was run on after a cut.");
    }

    [Fact]
    public void Every_state_that_a_cut_may_leave_of_short_scripts_is_sound()
    {
        var statistics = new CutStatistics();
        for (var seed = 1; seed <= SmallScripts; seed++)
        {
            PowerCutRun.Run(SimulationPlan.SmallFromSeed(seed), statistics);
        }

        output.WriteLine(statistics.ToString());
        Assert.True(statistics.Exhausted > SmallScripts, "Hardly a step was judged in every state.");
    }
}
