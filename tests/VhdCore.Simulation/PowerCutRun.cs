using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>One seed: an image is made or found, opened, worked on, closed or killed, opened again, with cuts at every step and some of them run on.</summary>
internal sealed class PowerCutRun
{
    private const int MaxDepth = 2;
    private const int MostStepsBeforeKill = 150; // of the medium; a session has about so many
    private static readonly int[] RunOnChance = [60, 200, 0]; // one cut in so many is run on, by depth

    private readonly SimulationPlan _plan;
    private readonly CutStatistics _statistics;
    private readonly Random _random;
    private readonly byte[]? _parent;
    private readonly ScriptTrace _trace;
    private int _version;

    private PowerCutRun(SimulationPlan plan, CutStatistics statistics, int seed, byte[]? parent, ScriptTrace trace)
    {
        _plan = plan;
        _statistics = statistics;
        _random = new Random(seed);
        _parent = parent;
        _trace = trace;
        _version = trace.Depth * 1_000_000;
    }

    /// <summary>Runs a seed to its end.</summary>
    /// <exception cref="SimulationFailure">The contract is broken.</exception>
    public static void Run(int seed, CutStatistics statistics) => Run(SimulationPlan.FromSeed(seed), statistics);

    /// <summary>Runs a plan to its end.</summary>
    /// <exception cref="SimulationFailure">The contract is broken.</exception>
    public static void Run(SimulationPlan plan, CutStatistics statistics)
    {
        var world = plan.CreateWorld();
        var parent = plan.IsDifferencing ? new CutReader(world.GetBytes(SimulationPlan.Base), FooterTrust.Either).Read(null, honoursBitmaps: true) : null;
        var run = new PowerCutRun(plan, statistics, plan.Seed, parent, new ScriptTrace());
        statistics.CountRun();
        try
        {
            run.Work(world, oracle: null, sessions: 2);
        }
        catch (Exception exception)
        {
            throw new SimulationFailure($"{(exception is SimulationFailure ? exception.Message : exception)}\nseed {plan.Seed}: {plan}\n{run._trace}");
        }
    }

    private void Work(CrashWorld world, SectorOracle? oracle, int sessions)
    {
        var cuts = new PowerCuts(_plan, _random, _statistics, _parent, _trace.Depth == 0 ? _plan.CutsPerStep : 0.5)
        {
            Oracle = oracle,
            RunOn = _trace.Depth < MaxDepth ? RunOn : null,
        };
        if (oracle is null && !_plan.IsCreated)
        {
            cuts.Oracle = new SectorOracle(new CutReader(world.GetBytes(SimulationPlan.Leaf), FooterTrust.Either).Read(_parent, honoursBitmaps: true));
        }

        for (var i = 0; i < sessions; i++)
        {
            world.Scheduler = _plan.WorkerCount > 1 ? new StepScheduler(_random.Next()) { FlowCount = _plan.WorkerCount } : null;
            cuts.Watch(world);
            var session = SessionAsync(world, cuts);
            world.Scheduler?.Run(session);
            session.GetAwaiter().GetResult();
            world.Scheduler = null;
            world.KillAfter(0);
            Throw(cuts);
        }

        world.OnStep = null;
    }

    private async Task SessionAsync(CrashWorld world, PowerCuts cuts)
    {
        cuts.Phase = CutPhase.Open;
        if (cuts.Oracle is null)
        {
            cuts.Phase = CutPhase.Create;
            await CreateAsync(world);
            cuts.Oracle = new SectorOracle(_parent ?? new byte[_plan.Size]);
            cuts.Phase = CutPhase.Open;
        }

        Throw(cuts);
        _trace.Add("open");
        if (_random.Next(6) == 0)
        {
            world.KillAfter(_random.Next(1, MostStepsBeforeKill), _random.NextDouble());
        }

        if (await SimulatedDisk.OpenUnlessKilledAsync(world, SimulationPlan.Leaf) is not { } disk)
        {
            Killed(cuts);
            return;
        }

        cuts.Phase = null;
        cuts.Oracle = await SettleAsync(disk, cuts.Oracle);
        var killPending = world.IsKillPending;
        var script = new GuestScript
        {
            Sites = new AllSectors(_plan.Size, SimulationPlan.BlockSize),
            WorkerCount = _plan.WorkerCount,
            Oracle = cuts.Oracle,
            Device = disk,
            Scheduler = world.Scheduler,
            Random = _random,
            NextVersion = () => ++_version,
            Trace = _trace,
            IsToStop = () => cuts.Failure is not null,
            IsKilled = () => killPending && !world.IsKillPending,
        };
        await script.RunAsync(_trace.Depth == 0 ? _plan.RequestCount / (1 + (_plan.WorkerCount / 2)) : 5);
        if (script.IsKilled() || _random.Next(6) == 0)
        {
            world.Kill();
            Killed(cuts);
            return;
        }

        _trace.Add("close");
        cuts.Phase = CutPhase.Close;
        var begin = cuts.Oracle.Now();
        var status = await disk.CloseAsync();
        if (script.IsKilled())
        {
            Killed(cuts);
            return;
        }

        world.KillAfter(0);
        Require(status, "close");
        cuts.Oracle.Flushed(begin);
        cuts.Phase = null;
    }

    /// <summary>The process is gone; what it wrote is in the page cache.</summary>
    private void Killed(PowerCuts cuts)
    {
        _trace.Add("kill");
        _statistics.CountKill();
        cuts.Phase = null;
    }

    /// <summary>After opening, what is seen is durable, whatever a killed process had left of its changes.</summary>
    private static async Task<SectorOracle> SettleAsync(IBlockDevice device, SectorOracle oracle)
    {
        var content = await device.ReadBytesAsync(0, oracle.SectorCount * SectorOracle.SectorSize);
        CutChecker.JudgeContent(content, "who opens it for writing", oracle);
        return new SectorOracle(content);
    }

    private async Task CreateAsync(CrashWorld world)
    {
        _trace.Add("create");
        await using var disk = await VirtualDisk.CreateAsync(
            SimulationPlan.Leaf,
            new ImageCreateOptions
            {
                Format = ImageFormat.Vhd,
                Kind = _plan.IsDifferencing ? ImageKind.Differencing : ImageKind.Dynamic,
                Size = _plan.IsDifferencing ? null : _plan.Size,
                BlockSize = SimulationPlan.BlockSize,
                Parent = _plan.IsDifferencing ? SimulationPlan.Base : null,
            },
            world);
    }

    private void RunOn(CrashWorld left, byte[] content)
    {
        if (_random.Next(RunOnChance[_trace.Depth]) != 0)
        {
            return;
        }

        _statistics.CountReopened();
        _trace.RunOn(trace => new PowerCutRun(_plan, _statistics, _random.Next(), _parent, trace).Work(left, new SectorOracle(content), sessions: 1));
    }

    private static void Throw(PowerCuts cuts)
    {
        if (cuts.Failure is { } failure)
        {
            throw failure;
        }
    }

    private static void Require(BlockStatus status, string what)
    {
        if (status != BlockStatus.Ok)
        {
            throw new SimulationFailure($"{what} answers {status}");
        }
    }
}
