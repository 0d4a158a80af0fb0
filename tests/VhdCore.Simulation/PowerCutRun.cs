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
    private static readonly int[] RunOnChance = [60, 200, 0]; // one cut in so many is run on, by depth

    private readonly SimulationPlan _plan;
    private readonly CutStatistics _statistics;
    private readonly Random _random;
    private readonly byte[]? _parent;
    private readonly int _depth;
    private readonly List<string> _trace;
    private int _version;

    private PowerCutRun(SimulationPlan plan, CutStatistics statistics, int seed, byte[]? parent, int depth, List<string> trace)
    {
        _plan = plan;
        _statistics = statistics;
        _random = new Random(seed);
        _parent = parent;
        _depth = depth;
        _trace = trace;
        _version = depth * 1_000_000;
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
        var run = new PowerCutRun(plan, statistics, plan.Seed, parent, depth: 0, []);
        statistics.CountRun();
        try
        {
            run.Work(world, oracle: null, sessions: 2);
        }
        catch (Exception exception)
        {
            throw new SimulationFailure($"{(exception is SimulationFailure ? exception.Message : exception)}\nseed {plan.Seed}: {plan}\n{string.Join('\n', run._trace)}");
        }
    }

    private void Work(CrashWorld world, SectorOracle? oracle, int sessions)
    {
        var cuts = new PowerCuts(_plan, _random, _statistics, _parent, _depth == 0 ? _plan.CutsPerStep : 0.5)
        {
            Oracle = oracle,
            RunOn = _depth < MaxDepth ? RunOn : null,
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
        _trace.Add($"{Indent}open");
        var disk = await SimulatedDisk.OpenAsync(world);
        cuts.Phase = null;
        cuts.Oracle = await SettleAsync(disk.Device, cuts.Oracle);
        var script = new GuestScript(_plan, cuts, disk.Device, world.Scheduler, _random, () => ++_version, _trace, Indent);
        await script.RunAsync(_depth == 0 ? _plan.RequestCount / (1 + (_plan.WorkerCount / 2)) : 5);
        if (_random.Next(5) == 0)
        {
            // The process is gone; what it wrote is in the page cache.
            _trace.Add($"{Indent}kill");
            _statistics.CountKill();
            world.Kill();
            return;
        }

        _trace.Add($"{Indent}close");
        cuts.Phase = CutPhase.Close;
        var begin = cuts.Oracle.Now();
        Require(await disk.CloseAsync(), "close");
        cuts.Oracle.Flushed(begin);
        cuts.Phase = null;
    }

    /// <summary>After opening, what is seen is durable, whatever a killed process had left of its changes.</summary>
    private static async Task<SectorOracle> SettleAsync(IBlockDevice device, SectorOracle oracle)
    {
        var content = await device.ReadBytesAsync(0, oracle.SectorCount * SectorOracle.SectorSize);
        CutChecker.JudgeContent(content, "who opens it for writing", oracle);
        return new SectorOracle(content);
    }

    private string Indent => new(' ', _depth * 4);

    private async Task CreateAsync(CrashWorld world)
    {
        _trace.Add($"{Indent}create");
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
        if (_random.Next(RunOnChance[_depth]) != 0)
        {
            return;
        }

        _statistics.CountReopened();
        var mark = _trace.Count;
        _trace.Add($"{Indent}-- cut --");
        new PowerCutRun(_plan, _statistics, _random.Next(), _parent, _depth + 1, _trace).Work(left, new SectorOracle(content), sessions: 1);
        _trace.RemoveRange(mark, _trace.Count - mark); // only the way to a failure is kept
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
