using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Crash;
using VhdCore.Vhdx;

namespace VhdCore.Simulation.Vhdx;

/// <summary>One seed: a VHDX is created, worked on with cuts at every step, closed or killed, opened again; some of what cuts leave is run on.</summary>
internal sealed class VhdxPowerCutRun
{
    public const string Leaf = "/leaf.vhdx";
    public const string Base = "/base.vhdx";

    private const int Sector = SectorOracle.SectorSize;
    private const int MaxWarmUpRounds = 130; // enough for the log to wrap

    private readonly Random _random;
    private readonly VhdxCutStatistics _statistics;
    private readonly bool _isDifferencing;
    private readonly int _depth;
    private readonly double _cutsPerStep;
    private readonly List<string> _trace;
    private SectorOracle _oracle = null!;
    private SimulationFailure? _failure;
    private int _version;

    private VhdxPowerCutRun(int seed, VhdxCutStatistics statistics, bool isDifferencing, int depth, List<string> trace)
    {
        _random = new Random(seed);
        _statistics = statistics;
        _isDifferencing = isDifferencing;
        _depth = depth;
        _trace = trace;
        _cutsPerStep = depth > 0 ? 0.3 : _random.Next(3) switch { 0 => 2, 1 => 0.7, _ => 0.2 };
        _version = depth * 1_000_000;
    }

    /// <summary>Runs a seed to its end.</summary>
    /// <exception cref="SimulationFailure">The contract is broken.</exception>
    public static void Run(int seed, VhdxCutStatistics statistics)
    {
        var random = new Random(seed);
        var world = new CrashWorld { IsExtensionOrdered = random.Next(2) == 0, CanPunch = random.Next(2) == 0 };
        var run = new VhdxPowerCutRun(seed, statistics, isDifferencing: random.Next(2) == 0, depth: 0, []);
        try
        {
            run.PrepareAsync(world).GetAwaiter().GetResult();
            for (var session = 0; session < 2; session++)
            {
                run.SessionAsync(world, warmUpRounds: session == 0 && random.Next(2) == 0 ? random.Next(MaxWarmUpRounds) : 0).GetAwaiter().GetResult();
            }
        }
        catch (Exception exception)
        {
            throw new SimulationFailure($"{(exception is SimulationFailure ? exception.Message : exception)}\nseed {seed}\n{string.Join('\n', run._trace)}");
        }
    }

    /// <summary>Opens the chain as the library's door does, but with a clock that never strikes.</summary>
    public static async ValueTask<ChainDevice> OpenAsync(CrashWorld world, bool isDifferencing, bool isWritable)
    {
        var gate = new InFlightGate();
        var layers = new List<IImageLayer>();
        foreach (var name in isDifferencing ? [Leaf, Base] : new[] { Leaf })
        {
            var writes = isWritable && layers.Count == 0;
            var options = new ImageOpenOptions { Writable = writes };
            var storage = await world.OpenAsync(name, writes ? StorageOpenOptions.ForWriting : StorageOpenOptions.ForReading);
            var metadata = await VhdxMetadataReader.ReadAsync(storage, options, default);
            layers.Add(writes ? await VhdxWriterOpener.OpenAsync(storage, metadata, options, gate, default) : VhdxLayer.Open(storage, metadata, options));
        }

        return new ChainDevice(new ChainState(layers, layers[0].Length), gate, new BlockDeviceInfo { Name = Leaf, IsReadOnly = !isWritable }, new StoppedClock());
    }

    private async Task PrepareAsync(CrashWorld world)
    {
        _oracle = new SectorOracle(new byte[VhdxSites.Count * Sector]);
        if (!_isDifferencing)
        {
            await CreateAsync(world, Leaf, ImageKind.Dynamic, linkage: default);
            return;
        }

        await CreateAsync(world, Base, ImageKind.Dynamic, linkage: default);
        await using (var parent = await OpenParentAsync(world))
        {
            for (var site = 0; site < VhdxSites.Count; site++)
            {
                if (site / VhdxSites.SitesPerBlock != 1) // the second block is the parent's nothing
                {
                    Require(await parent.WriteBytesAsync(VhdxSites.OffsetOf(site), Pattern.Create((long)site * Sector, Sector, -1)), "preparing the parent");
                }
            }

            _oracle = new SectorOracle(await VhdxCutChecker.ReadSitesAsync(parent));
            Require(await parent.CloseAsync(), "closing the parent");
        }

        await using var storage = await world.OpenAsync(Base, StorageOpenOptions.ForReading);
        await CreateAsync(world, Leaf, ImageKind.Differencing, (await VhdxMetadataReader.ReadAsync(storage, new ImageOpenOptions(), default)).Header.DataWriteGuid);
    }

    private static async ValueTask<ChainDevice> OpenParentAsync(CrashWorld world)
    {
        var gate = new InFlightGate();
        var options = new ImageOpenOptions { Writable = true };
        var storage = await world.OpenAsync(Base, StorageOpenOptions.ForWriting);
        var layer = await VhdxWriterOpener.OpenAsync(storage, await VhdxMetadataReader.ReadAsync(storage, options, default), options, gate, default);
        return new ChainDevice(new ChainState([layer], layer.Length), gate, new BlockDeviceInfo { Name = Base }, new StoppedClock());
    }

    private static async Task CreateAsync(CrashWorld world, string name, ImageKind kind, Guid linkage)
    {
        await using var storage = await world.OpenAsync(name, StorageOpenOptions.ForCreating);
        await VhdxCreator.CreateAsync(
            storage,
            new VhdxCreateParameters
            {
                Kind = kind,
                Size = VhdxSites.Size,
                BlockSize = VhdxSites.BlockSize,
                VirtualDiskId = Guid.NewGuid(),
                DataWriteGuid = Guid.NewGuid(),
                FileWriteGuid = Guid.NewGuid(),
                ParentLocator = kind == ImageKind.Differencing
                    ? [new("parent_linkage", $"{{{linkage:D}}}"), new("relative_path", ".\\base.vhdx")]
                    : [],
            },
            default);
        await storage.RenameAsync(name); // its name is durable from here on
    }

    private async Task SessionAsync(CrashWorld world, int warmUpRounds)
    {
        world.OnStep = step => OnStep(world, step, isOpening: true);
        _trace.Add($"{Indent}open");
        var device = await OpenAsync(world, _isDifferencing, isWritable: true);
        world.OnStep = null;
        var seen = await VhdxCutChecker.ReadSitesAsync(device);
        CutChecker.JudgeContent(seen, "who opens it for writing", _oracle);
        _oracle = new SectorOracle(seen);
        for (var i = 0; i < warmUpRounds; i++)
        {
            await WriteGroupAsync(device, WriteFlags.None);
            await FlushAsync(device);
        }

        _trace.Add($"{Indent}{warmUpRounds} rounds without a cut");
        world.OnStep = step => OnStep(world, step, isOpening: false);
        for (var i = 0; i < (_depth == 0 ? 22 : 8) && _failure is null; i++)
        {
            await StepAsync(device);
        }

        if (_failure is null && _random.Next(2) == 0)
        {
            _trace.Add($"{Indent}kill");
            world.Kill();
        }
        else if (_failure is null)
        {
            _trace.Add($"{Indent}close");
            var begin = _oracle.Now();
            Require(await device.CloseAsync(), "close");
            _oracle.Flushed(begin);
        }

        world.OnStep = null;
        if (_failure is not null)
        {
            throw _failure;
        }
    }

    private string Indent => new(' ', _depth * 4);

    private async Task StepAsync(ChainDevice device)
    {
        switch (_random.Next(16))
        {
            case < 7:
                await WriteGroupAsync(device, WriteFlags.None);
                break;
            case < 8:
                await WriteGroupAsync(device, WriteFlags.Fua);
                break;
            case < 9:
                await WriteBlockAsync(device);
                break;
            case < 12:
                await FlushAsync(device);
                break;
            case < 15:
                await ClearBlockAsync(device, isTrim: _random.Next(2) == 0);
                break;
            default:
                CutChecker.JudgeContent(await VhdxCutChecker.ReadSitesAsync(device), "a read", _oracle);
                break;
        }
    }

    /// <summary>Some neighbouring sites, or a part of one.</summary>
    private async Task WriteGroupAsync(ChainDevice device, WriteFlags flags)
    {
        var site = _random.Next(VhdxSites.Count);
        var count = Math.Min(_random.Next(1, VhdxSites.GroupSize + 1), VhdxSites.GroupSize - (site % VhdxSites.GroupSize));
        var skip = _random.Next(3) == 0 ? _random.Next(Sector) : 0;
        var length = (count * Sector) - skip;
        var version = ++_version;
        _trace.Add($"{Indent}write {length} bytes from {skip} on of sites {site}+{count}, version {version}{(flags == WriteFlags.Fua ? ", fua" : "")}");
        var content = Pattern.Create(((long)site * Sector) + skip, length, version);
        var operation = _oracle.BeginWrite(((long)site * Sector) + skip, content);
        Require(await device.WriteBytesAsync(VhdxSites.OffsetOf(site) + skip, content, flags), "a write");
        _oracle.End(operation);
        if (flags == WriteFlags.Fua)
        {
            _oracle.MadeDurable(operation);
        }
    }

    private async Task WriteBlockAsync(ChainDevice device)
    {
        var block = _random.Next(VhdxSites.BlockCount);
        var first = block * VhdxSites.SitesPerBlock;
        var version = ++_version;
        _trace.Add($"{Indent}write all of block {block}, version {version}");
        var sites = Pattern.Create((long)first * Sector, VhdxSites.SitesPerBlock * Sector, version);
        var content = new byte[VhdxSites.BlockSize];
        for (var i = 0; i < VhdxSites.SitesPerBlock; i++)
        {
            sites.AsSpan(i * Sector, Sector).CopyTo(content.AsSpan((int)(VhdxSites.OffsetOf(first + i) - ((long)block * VhdxSites.BlockSize))));
        }

        var operation = _oracle.BeginWrite((long)first * Sector, sites);
        Require(await device.WriteBytesAsync((long)block * VhdxSites.BlockSize, content), "a write");
        _oracle.End(operation);
    }

    private async Task ClearBlockAsync(ChainDevice device, bool isTrim)
    {
        var block = _random.Next(VhdxSites.BlockCount);
        var first = block * VhdxSites.SitesPerBlock;
        _trace.Add($"{Indent}{(isTrim ? "trim" : "zero")} block {block}");
        var operation = _oracle.BeginZero(first, VhdxSites.SitesPerBlock, isHint: isTrim);
        var offset = (long)block * VhdxSites.BlockSize;
        Require(isTrim ? await device.TrimAsync(offset, VhdxSites.BlockSize) : await device.ZeroAsync(offset, VhdxSites.BlockSize), "a trim or zero");
        _oracle.End(operation);
        if (isTrim)
        {
            _oracle.Settle(operation, (await VhdxCutChecker.ReadSitesAsync(device)).AsSpan(first * Sector, VhdxSites.SitesPerBlock * Sector));
        }
    }

    private async Task FlushAsync(ChainDevice device)
    {
        _trace.Add($"{Indent}flush");
        var begin = _oracle.Now();
        Require(await device.FlushAsync(), "a flush");
        _oracle.Flushed(begin);
    }

    private void OnStep(CrashWorld world, CrashStep step, bool isOpening)
    {
        if (_failure is not null)
        {
            return;
        }

        var phase = isOpening ? VhdxCutPhase.OpenAndReplay : VhdxCutStatistics.PhaseOf(step);
        var cuts = (int)(_cutsPerStep + _random.NextDouble());
        for (var i = 0; i < cuts && _failure is null; i++)
        {
            _statistics.Count(phase);
            var left = world.Cut(_random);
            try
            {
                var content = VhdxCutChecker.Check(left, _isDifferencing, _oracle);
                if (_depth < 2 && _random.Next(60) == 0)
                {
                    RunOn(left, content);
                }
            }
            catch (Exception exception)
            {
                _failure = new SimulationFailure($"cut in phase {phase} ({step}): {(exception is SimulationFailure ? exception.Message : exception)}");
            }
        }
    }

    private void RunOn(CrashWorld left, byte[] content)
    {
        _statistics.CountReopened();
        var mark = _trace.Count;
        _trace.Add($"{Indent}-- cut --");
        var run = new VhdxPowerCutRun(_random.Next(), _statistics, _isDifferencing, _depth + 1, _trace) { _oracle = new SectorOracle(content) };
        run.SessionAsync(left, warmUpRounds: 0).GetAwaiter().GetResult();
        _trace.RemoveRange(mark, _trace.Count - mark);
    }

    private static void Require(BlockStatus status, string what)
    {
        if (status != BlockStatus.Ok)
        {
            throw new SimulationFailure($"{what} answers {status}");
        }
    }

    private sealed class StoppedClock : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new StoppedTimer();
    }

    private sealed class StoppedTimer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}
