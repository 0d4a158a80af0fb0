using VhdCore.Testing.Crash;

namespace VhdCore.Simulation.Vhdx;

/// <summary>Cuts the power while something works on a world, and has every cut judged.</summary>
internal sealed class VhdxCuts(VhdxPlan plan, VhdxCutChecker checker, Random random, VhdxCutStatistics statistics, double cutsPerStep)
{
    private readonly VhdxPhaseClassifier _classifier = new(plan);

    /// <summary>The first breach of the contract.</summary>
    public SimulationFailure? Failure { get; private set; }

    /// <summary>What the disk may hold.</summary>
    public required SectorOracle Oracle { get; set; }

    /// <summary>There was nothing to lose when it was opened: no killed process had left anything in the page cache.</summary>
    public bool StartsDurable { get; set; }

    /// <summary>What the disk held when it was last opened for writing, and the DataWriteGuid that went with it.</summary>
    public (byte[] Content, byte[] DataWriteId) AtOpening { get; set; } = ([], []);

    /// <summary>The phase of the run's own, where the step's does not count.</summary>
    public VhdxCutPhase? Phase { get; set; }

    /// <summary>Called with the worlds that cuts have left, and the content they hold; to run on there.</summary>
    public Action<CrashWorld, byte[], VhdxCutPhase>? RunOn { get; init; }

    public void Trimmed() => _classifier.Trimmed();

    public void OnStep(CrashWorld world, CrashStep step)
    {
        var stepPhase = _classifier.Classify(step, world);
        if (Failure is not null)
        {
            return;
        }

        var phase = Phase ?? stepPhase;
        var cuts = (int)((cutsPerStep * Weight(phase)) + random.NextDouble()); // a part of one by chance
        for (var i = 0; i < cuts && Failure is null; i++)
        {
            Judge(world.Cut(random), phase, step);
        }
    }

    /// <summary>What comes seldom, and what breaks most easily.</summary>
    private static double Weight(VhdxCutPhase phase) => phase switch
    {
        VhdxCutPhase.Header or VhdxCutPhase.Apply or VhdxCutPhase.Close => 2,
        VhdxCutPhase.Payload => 0.7,
        _ => 1,
    };

    /// <summary>A child names its parent by the DataWriteGuid: other content, another one; and a replay is no change.</summary>
    private void RequireDataWriteGuid(byte[] content, VhdxCutPhase phase)
    {
        var isSameId = checker.DataWriteId.AsSpan().SequenceEqual(AtOpening.DataWriteId);
        if (phase is VhdxCutPhase.Open or VhdxCutPhase.Replay or VhdxCutPhase.Repair)
        {
            if (!isSameId && StartsDurable)
            {
                throw new SimulationFailure("opening alone has changed the DataWriteGuid");
            }
        }
        else if (isSameId && !content.AsSpan().SequenceEqual(AtOpening.Content))
        {
            throw new SimulationFailure("the content has changed, and the DataWriteGuid has not");
        }
    }

    private void Judge(CrashWorld left, VhdxCutPhase phase, CrashStep step)
    {
        statistics.Count(phase);
        try
        {
            var content = checker.Check(left, Oracle);
            RequireDataWriteGuid(content, phase);
            RunOn?.Invoke(left, content, phase);
        }
        catch (Exception exception)
        {
            Failure = new SimulationFailure($"cut in phase {phase} ({step}): {(exception is SimulationFailure ? exception.Message : exception)}");
        }
    }
}
