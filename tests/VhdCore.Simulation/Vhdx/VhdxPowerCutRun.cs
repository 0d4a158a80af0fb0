using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Testing.Crash;

namespace VhdCore.Simulation.Vhdx;

/// <summary>One seed: a chain of VHDX images is opened, worked on with cuts at every step, closed or killed, and opened again; some of what cuts leave is run on.</summary>
internal sealed class VhdxPowerCutRun
{
    private const int MaxDepth = 3;
    private const int MostStepsBeforeKill = 150; // of the medium; a session has about so many
    private const int MostFlushesBeforeFailure = 14;
    private const int CutsAfterFailure = 8;
    private const int FewStepsBeforeKill = 15; // in which a session opens and begins
    private static readonly int[] RunOnChance = [60, 100, 200]; // one cut in so many is run on, by depth
    private static readonly int[] ReplayRunOnChance = [8, 20, 40]; // of those in a replay or a repair

    private readonly VhdxPlan _plan;
    private readonly VhdxCutChecker _checker;
    private readonly VhdxCutStatistics _statistics;
    private readonly Random _random;
    private readonly ScriptTrace _trace;
    private int _version;

    private VhdxPowerCutRun(VhdxPlan plan, VhdxCutChecker checker, VhdxCutStatistics statistics, int seed, ScriptTrace trace)
    {
        _plan = plan;
        _checker = checker;
        _statistics = statistics;
        _random = new Random(seed);
        _trace = trace;
        _version = trace.Depth * 1_000_000;
    }

    /// <summary>Runs a seed to its end.</summary>
    /// <exception cref="SimulationFailure">The contract is broken.</exception>
    public static void Run(int seed, VhdxCutStatistics statistics) => Run(VhdxPlan.FromSeed(seed), statistics);

    /// <summary>Runs a plan to its end.</summary>
    /// <exception cref="SimulationFailure">The contract is broken.</exception>
    public static void Run(VhdxPlan plan, VhdxCutStatistics statistics)
    {
        statistics.CountRun();
        var trace = new ScriptTrace();
        try
        {
            var world = VhdxImages.Create(plan);
            var checker = new VhdxCutChecker(plan, world);
            var run = new VhdxPowerCutRun(plan, checker, statistics, plan.Seed, trace);
            run.Work(world, new SectorOracle(checker.ReadPlain(world)), sessions: 3);
        }
        catch (Exception exception)
        {
            throw new SimulationFailure($"{(exception is SimulationFailure ? exception.Message : exception)}\nseed {plan.Seed}: {plan}\n{trace}");
        }
    }

    private void Work(CrashWorld world, SectorOracle oracle, int sessions)
    {
        var cuts = new VhdxCuts(_plan, _checker, _random, _statistics, _trace.Depth == 0 ? _plan.CutsPerStep : Math.Min(_plan.CutsPerStep, 0.3))
        {
            Oracle = oracle,
            RunOn = _trace.Depth < MaxDepth ? RunOn : null,
        };
        for (var i = 0; i < sessions; i++)
        {
            cuts.Phase = VhdxImages.NeedsRepair(world) ? VhdxCutPhase.Repair : VhdxCutChecker.HasLog(world) ? VhdxCutPhase.Replay : VhdxCutPhase.Open;
            cuts.AtOpening = (_checker.ReadPlain(world), _checker.DataWriteId);
            cuts.StartsDurable = _trace.Depth > 0 && i == 0;
            world.Scheduler = _plan.WorkerCount > 1 ? new StepScheduler(_random.Next()) { FlowCount = _plan.WorkerCount } : null;
            var session = SessionAsync(world, cuts, warmUpRounds: _trace.Depth == 0 && i == 0 ? _plan.WarmUpRounds : 0);
            world.Scheduler?.Run(session);
            session.GetAwaiter().GetResult();
            world.Scheduler = null;
            world.OnStep = null;
            world.KillAfter(0);
            if (cuts.Failure is { } failure)
            {
                throw failure;
            }

            if (world.HasFlushFailed)
            {
                return;
            }
        }
    }

    private async Task SessionAsync(CrashWorld world, VhdxCuts cuts, int warmUpRounds)
    {
        var killsLater = _random.Next(4) == 0;
        var stepsBeforeKill = _random.Next(1, _random.Next(2) == 0 ? FewStepsBeforeKill : MostStepsBeforeKill);
        var partOfLastWrite = _random.NextDouble();
        if (killsLater && warmUpRounds == 0)
        {
            world.KillAfter(stepsBeforeKill, partOfLastWrite);
        }

        else if (warmUpRounds == 0 && _random.Next(8) == 0)
        {
            world.FailFlushAfter(_random.Next(1, MostFlushesBeforeFailure), _random);
        }

        _trace.Add($"open ({cuts.Phase})");
        world.OnStep = step => cuts.OnStep(world, step);
        if (await SimulatedDisk.OpenUnlessKilledAsync(world, VhdxPlan.Leaf) is not { } device)
        {
            Killed(cuts);
            return;
        }

        if (VhdxImages.NeedsRepair(world))
        {
            throw new SimulationFailure("opening for writing has left a header or a copy of the region table damaged");
        }

        cuts.Phase = null;
        var seen = await _checker.ReadSitesAsync(device);
        CutChecker.JudgeContent(seen, "who opens it for writing", cuts.Oracle);
        cuts.Oracle = new SectorOracle(seen); // after opening, what is seen is durable
        var mayBeKilled = world.IsKillPending;
        var script = CreateScript(world, cuts, device, () => mayBeKilled && !world.IsKillPending);
        if (warmUpRounds > 0)
        {
            world.OnStep = null;
            await script.RunRoundsAsync(warmUpRounds);
            _trace.Add($"{warmUpRounds} rounds without a cut");
            world.OnStep = step => cuts.OnStep(world, step);
            if (killsLater)
            {
                world.KillAfter(stepsBeforeKill, partOfLastWrite);
                mayBeKilled = true;
            }
        }

        if (_plan.Shape == VhdxShape.Wide && _trace.Depth == 0)
        {
            await script.SweepAsync(_random.Next(1, 9));
        }

        await script.RunAsync(_trace.Depth == 0 ? _plan.RequestCount / (1 + (_plan.WorkerCount / 2)) : 5);
        if (world.HasFlushFailed)
        {
            await RetryAsync(world, cuts, device);
            return;
        }

        if (script.IsKilled() || _random.Next(4) == 0)
        {
            world.Kill();
            Killed(cuts);
            return;
        }

        await CloseAsync(world, cuts, device, script);
    }

    /// <summary>After a failed flush, one that answers Ok must have had nothing to do: nobody knows what the medium has. The disk can still be read, and be closed.</summary>
    private async Task RetryAsync(CrashWorld world, VhdxCuts cuts, ChainDevice device)
    {
        _trace.Add("a flush has failed");
        _statistics.CountFailure();
        await _checker.ReadSitesAsync(device);
        var begin = cuts.Oracle.Now();
        if (await device.FlushAsync() == BlockStatus.Ok | await device.CloseAsync() == BlockStatus.Ok)
        {
            cuts.Oracle.Flushed(begin);
        }

        for (var i = 0; i < CutsAfterFailure && cuts.Failure is null; i++)
        {
            cuts.OnStep(world, new CrashStep(CrashStepKind.Flushed, VhdxPlan.Leaf, 0, 0));
        }
    }

    private GuestScript CreateScript(CrashWorld world, VhdxCuts cuts, IBlockDevice device, Func<bool> isKilled) => new()
    {
        Sites = _plan.Sites,
        WorkerCount = _plan.WorkerCount,
        Oracle = cuts.Oracle,
        Device = device,
        Scheduler = world.Scheduler,
        Random = _random,
        NextVersion = () => ++_version,
        Trace = _trace,
        IsToStop = () => cuts.Failure is not null,
        IsKilled = isKilled,
        HasFailed = () => world.HasFlushFailed,
        BlockCleared = cuts.Trimmed,
    };

    private async Task CloseAsync(CrashWorld world, VhdxCuts cuts, ChainDevice device, GuestScript script)
    {
        _trace.Add("close");
        cuts.Phase = VhdxCutPhase.Close;
        var begin = cuts.Oracle.Now();
        var status = await device.CloseAsync();
        if (script.IsKilled())
        {
            Killed(cuts);
            return;
        }

        if (world.HasFlushFailed && status != BlockStatus.Ok)
        {
            _statistics.CountFailure();
            return;
        }

        if (status != BlockStatus.Ok)
        {
            throw new SimulationFailure($"close answers {status}");
        }

        cuts.Oracle.Flushed(begin);
        cuts.Phase = null;
    }

    /// <summary>The process is gone; what it wrote is in the page cache.</summary>
    private void Killed(VhdxCuts cuts)
    {
        _trace.Add("kill");
        _statistics.CountKill();
        cuts.Phase = null;
    }

    private void RunOn(CrashWorld left, byte[] content, VhdxCutPhase phase)
    {
        var isReplay = phase == VhdxCutPhase.Replay;
        if (_random.Next((isReplay || phase == VhdxCutPhase.Repair ? ReplayRunOnChance : RunOnChance)[_trace.Depth]) != 0)
        {
            return;
        }

        _statistics.CountReopened();
        if (isReplay)
        {
            _statistics.CountReplayedAgain();
        }

        _trace.RunOn(trace => new VhdxPowerCutRun(_plan, _checker, _statistics, _random.Next(), trace).Work(left, new SectorOracle(content), sessions: 1));
    }
}
