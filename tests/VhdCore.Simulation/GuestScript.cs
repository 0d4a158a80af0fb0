using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Testing;
using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>
/// What a guest does to a disk, by chance. Several workers at once share blocks and never sectors, so that it is known what every sector holds.
/// </summary>
internal sealed class GuestScript(
    SimulationPlan plan, PowerCuts cuts, IBlockDevice device, StepScheduler? scheduler, Random random, Func<int> nextVersion, List<string> trace, string indent)
{
    private const int Sector = SectorOracle.SectorSize;
    private const int SectorsPerBlock = SimulationPlan.BlockSize / Sector;

    private const int MostRequests = 4; // of another worker, to one of the first

    private readonly SectorOracle _oracle = cuts.Oracle!;
    private bool _isFirstWorkerDone;

    public async Task RunAsync(int operationCount)
    {
        var workers = Enumerable.Range(0, plan.WorkerCount).Select(worker => WorkAsync(worker, operationCount)).ToArray();
        await Task.WhenAll(workers);
        await CheckReadAsync(0, _oracle.SectorCount);
    }

    private async Task WorkAsync(int worker, int operationCount)
    {
        for (var i = 0; IsToGoOn(worker, i, operationCount) && cuts.Failure is null; i++)
        {
            switch (random.Next(24))
            {
                case < 9:
                    await WriteAsync(worker, WriteFlags.None);
                    break;

                case < 11:
                    await WriteAsync(worker, MayFlush(worker) ? WriteFlags.Fua : WriteFlags.None);
                    break;

                case < 15 when MayFlush(worker):
                    await FlushAsync();
                    break;

                case < 15:
                    await WriteAsync(worker, WriteFlags.None);
                    break;

                case < 19:
                    await ClearAsync(worker, isTrim: random.Next(3) != 0);
                    break;

                case < 22 when plan.WorkerCount > 1:
                    await RaceAsync(worker);
                    break;

                case < 23:
                    await ReadAnythingAsync();
                    break;

                default:
                    var (first, count) = PickSectors(worker);
                    await CheckReadAsync(first, count);
                    break;
            }
        }
    }

    /// <summary>The others work as long as the one that flushes, which takes longer for each request.</summary>
    private bool IsToGoOn(int worker, int done, int operationCount)
    {
        _isFirstWorkerDone |= worker == 0 && done == operationCount;
        return worker == 0 ? done < operationCount : !_isFirstWorkerDone && done < MostRequests * operationCount;
    }

    /// <summary>One worker flushes, the others seldom do: else they would all stand in line for commits, and nothing would happen beside them.</summary>
    private bool MayFlush(int worker) => worker == 0 || random.Next(8) == 0;

    private Task WriteAsync(int worker, WriteFlags flags)
    {
        var (first, count) = PickSectors(worker);
        return WriteAsync(first, count, flags, worker);
    }

    private async Task WriteAsync(int first, int count, WriteFlags flags, int worker)
    {
        var offset = (long)first * Sector;
        var length = count * Sector;
        if (random.Next(3) == 0)
        {
            // Not on sectors' borders.
            var skip = random.Next(Sector);
            offset += skip;
            length = random.Next(1, length - skip + 1);
        }

        var version = nextVersion();
        trace.Add($"{indent}{worker}: write {length} bytes at {offset} (sectors {first}+{count}), version {version}{(flags == WriteFlags.Fua ? ", fua" : "")}");
        var content = Pattern.Create(offset, length, version);
        var operation = _oracle.BeginWrite(offset, content);
        Require(await OnTurnAsync(device.WriteBytesAsync(offset, content, flags)), "a write");
        _oracle.End(operation);
        if (flags == WriteFlags.Fua)
        {
            _oracle.MadeDurable(operation);
        }
    }

    private Task ClearAsync(int worker, bool isTrim)
    {
        var (first, count) = PickSectors(worker);
        if (IsWholeBlocks(worker, first) && random.Next(4) != 0)
        {
            first -= first % SectorsPerBlock;
            count = Math.Min(SectorsPerBlock, _oracle.SectorCount - first);
        }

        return ClearAsync(first, count, isTrim, worker);
    }

    private async Task ClearAsync(int first, int count, bool isTrim, int worker)
    {
        trace.Add($"{indent}{worker}: {(isTrim ? "trim" : "zero")} sectors {first}+{count}");
        var operation = _oracle.BeginZero(first, count, isHint: isTrim);
        var offset = (long)first * Sector;
        Require(await OnTurnAsync(isTrim ? device.TrimAsync(offset, (long)count * Sector) : device.ZeroAsync(offset, (long)count * Sector)), "a trim or zero");
        _oracle.End(operation);
        if (isTrim)
        {
            _oracle.Settle(operation, await ReadAsync(first, count));
        }
    }

    /// <summary>A write and a trim of the same block at once; and before the write has ended, other blocks come and go.</summary>
    private async Task RaceAsync(int worker)
    {
        var own = Enumerable.Range(0, _oracle.SectorCount).Where(sector => sector % SectorsPerBlock == 0 && IsWholeBlocks(worker, sector)).ToArray();
        if (own.Length < 2)
        {
            return;
        }

        var block = own[random.Next(own.Length)];
        var count = Math.Min(SectorsPerBlock, _oracle.SectorCount - block);
        var sector = block + random.Next(count);
        var version = nextVersion();
        trace.Add($"{indent}{worker}: write sector {sector}, version {version}, while sectors {block}+{count} are trimmed");
        var content = Pattern.Create((long)sector * Sector, Sector, version);
        var write = _oracle.BeginWrite((long)sector * Sector, content);
        scheduler!.IsNextSlow = true;
        var writing = device.WriteBytesAsync((long)sector * Sector, content);
        scheduler.IsNextSlow = false;
        var trim = _oracle.BeginZero(block, count, isHint: true);
        Require(await OnTurnAsync(device.TrimAsync((long)block * Sector, (long)count * Sector)), "a trim");
        _oracle.End(trim);
        for (var round = 0; round < 3; round++)
        {
            foreach (var other in own.Where(other => other != block && random.Next(2) == 0))
            {
                await ClearAsync(other, Math.Min(SectorsPerBlock, _oracle.SectorCount - other), isTrim: false, worker);
            }

            await FlushAsync();
            foreach (var other in own.Where(other => other != block))
            {
                await WriteAsync(other + random.Next(Math.Min(SectorsPerBlock, _oracle.SectorCount - other)), 1, WriteFlags.None, worker);
            }
        }

        Require(await OnTurnAsync(writing), "a write");
        _oracle.End(write);
        var seen = await ReadAsync(block, count);
        _oracle.Settle(trim, seen, mayHaveBeenOverwritten: true);
        _oracle.Observe(block, seen);
        foreach (var other in own)
        {
            await CheckReadAsync(other, Math.Min(SectorsPerBlock, _oracle.SectorCount - other));
        }
    }

    /// <summary>Reads what others may be writing.</summary>
    private async Task ReadAnythingAsync()
    {
        var first = random.Next(_oracle.SectorCount);
        var count = Math.Min(random.Next(1, 2 * SectorsPerBlock), _oracle.SectorCount - first);
        var watch = _oracle.BeginRead(first, count);
        var content = await ReadAsync(first, count);
        _oracle.EndRead(watch);
        for (var i = 0; i < count; i++)
        {
            var seen = content.AsSpan(i * Sector, Sector);
            if (!watch.IsVisible(first + i, seen))
            {
                throw new SimulationFailure($"a read under way with others of sector {first + i} shows {Pattern.Describe(seen)}; it holds {_oracle.Describe(first + i)}");
            }
        }
    }

    private async Task FlushAsync()
    {
        trace.Add($"{indent}flush");
        var begin = _oracle.Now();
        Require(await OnTurnAsync(device.FlushAsync()), "a flush");
        _oracle.Flushed(begin);
    }

    private async Task CheckReadAsync(int first, int count)
    {
        var content = await ReadAsync(first, count);
        for (var i = 0; i < count; i++)
        {
            if (!_oracle.IsVisible(first + i, content.AsSpan(i * Sector, Sector)))
            {
                throw new SimulationFailure($"a read of sector {first + i} shows {Pattern.Describe(content.AsSpan(i * Sector, Sector))}; it holds {_oracle.Describe(first + i)}");
            }
        }
    }

    /// <summary>Sectors that this worker alone writes: some blocks as a whole, and single sectors of the others, often of the second block.</summary>
    private (int First, int Count) PickSectors(int worker)
    {
        while (true)
        {
            var first = plan.WorkerCount > 1 && random.Next(2) == 0 ? random.Next(SectorsPerBlock, 2 * SectorsPerBlock) : random.Next(_oracle.SectorCount);
            if (plan.WorkerCount == 1)
            {
                var most = random.Next(4) == 0 ? 3 * SectorsPerBlock : 4;
                return (first, Math.Min(random.Next(1, most + 1), _oracle.SectorCount - first));
            }

            if (IsWholeBlocks(worker, first))
            {
                var left = SectorsPerBlock - (first % SectorsPerBlock);
                return (first, Math.Min(random.Next(1, left + 1), _oracle.SectorCount - first));
            }

            if (!IsOwnedWhole(first) && first % plan.WorkerCount == worker)
            {
                return (first, 1);
            }
        }
    }

    private async Task<byte[]> ReadAsync(int first, int count) => await OnTurnAsync(device.ReadBytesAsync((long)first * Sector, count * Sector));

    /// <summary>The device may go on on any thread; the script goes on only on the one that picks, so that it is the same each time.</summary>
    private async ValueTask<T> OnTurnAsync<T>(ValueTask<T> request)
    {
        var result = await request;
        if (scheduler is not null)
        {
            await scheduler.TurnAsync();
        }

        return result;
    }

    private static bool IsOwnedWhole(int sector) => sector / SectorsPerBlock % 2 == 0;

    private bool IsWholeBlocks(int worker, int sector) =>
        plan.WorkerCount == 1 || (IsOwnedWhole(sector) && sector / SectorsPerBlock / 2 % plan.WorkerCount == worker);

    private static void Require(BlockStatus status, string what)
    {
        if (status != BlockStatus.Ok)
        {
            throw new SimulationFailure($"{what} answers {status}");
        }
    }
}
