using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>Cuts the power while something works on a world, and has every cut judged.</summary>
internal sealed class PowerCuts(SimulationPlan plan, Random random, CutStatistics statistics, byte[]? parent, double cutsPerStep)
{
    private PhaseClassifier? _classifier;

    /// <summary>The first breach of the contract.</summary>
    public SimulationFailure? Failure { get; private set; }

    /// <summary>What the disk may hold; null as long as there may be no image.</summary>
    public SectorOracle? Oracle { get; set; }

    /// <summary>The phase of the script's own, where the step's does not count.</summary>
    public CutPhase? Phase { get; set; }

    /// <summary>Called with some of the worlds that cuts have left, and the content they hold; to run on there.</summary>
    public Action<CrashWorld, byte[]>? RunOn { get; init; }

    public void Watch(CrashWorld world) => world.OnStep = step => OnStep(world, step);

    private void OnStep(CrashWorld world, CrashStep step)
    {
        if (Failure is not null || step.Name == SimulationPlan.Base)
        {
            return;
        }

        if (step.Kind == CrashStepKind.Write && Oracle is not null && _classifier is null)
        {
            _classifier = new PhaseClassifier(new CutReader(world.GetBytes(SimulationPlan.Leaf), FooterTrust.Either));
        }

        var stepPhase = _classifier?.Classify(step, index => world.PeekCell(step.Name, index));
        var phase = Phase ?? stepPhase ?? CutPhase.Create;
        if (plan.ExhaustiveLimit > 0 && world.CountStates() is var states && states <= plan.ExhaustiveLimit)
        {
            statistics.CountExhausted();
            foreach (var left in world.AllStates())
            {
                Judge(left, phase);
            }

            return;
        }

        var cuts = (int)((cutsPerStep * Weight(phase)) + random.NextDouble()); // a part of one by chance
        for (var i = 0; i < cuts && Failure is null; i++)
        {
            Judge(world.Cut(random), phase);
        }
    }

    /// <summary>What the tables are about to reach breaks most easily.</summary>
    private static double Weight(CutPhase phase) => phase switch
    {
        CutPhase.Tables => 3,
        CutPhase.Commit or CutPhase.Barrier => 2,
        CutPhase.Payload or CutPhase.Reserve or CutPhase.Create => 0.5,
        _ => 1,
    };

    private void Judge(CrashWorld left, CutPhase phase)
    {
        if (Failure is not null)
        {
            return;
        }

        statistics.Count(phase);
        try
        {
            if (Oracle is null && !left.Exists(SimulationPlan.Leaf))
            {
                return; // no image yet
            }

            var oracle = Oracle ?? new SectorOracle(parent ?? new byte[plan.Size]);
            var content = CutChecker.Check(left, plan, oracle, parent);
            RunOn?.Invoke(left, content);
        }
        catch (Exception exception)
        {
            Failure = new SimulationFailure($"cut in phase {phase}: {(exception is SimulationFailure ? exception.Message : exception)}");
        }
    }
}
