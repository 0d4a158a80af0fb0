using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Testing;
using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>
/// What a guest does to a disk, by chance. Several workers at once share blocks and never sectors, so that it is known what every sector holds.
/// </summary>
internal sealed class GuestScript
{
    private const int Sector = SectorOracle.SectorSize;
    private const int MostRequests = 4; // of another worker, to one of the first

    private bool _isFirstWorkerDone;

    public required DiskSites Sites { get; init; }

    /// <summary>Requests in flight at once.</summary>
    public required int WorkerCount { get; init; }

    public required SectorOracle Oracle { get; init; }

    public required IBlockDevice Device { get; init; }

    /// <summary>Decides whose turn it is; null for one worker.</summary>
    public required StepScheduler? Scheduler { get; init; }

    public required Random Random { get; init; }

    public required Func<int> NextVersion { get; init; }

    public required ScriptTrace Trace { get; init; }

    /// <summary>A breach was found: go on no further.</summary>
    public required Func<bool> IsToStop { get; init; }

    /// <summary>The process that works on the disk is gone.</summary>
    public required Func<bool> IsKilled { get; init; }

    /// <summary>The medium has failed: requests may be refused.</summary>
    public Func<bool> HasFailed { get; init; } = () => false;

    /// <summary>Called when a block is trimmed or zeroed as a whole.</summary>
    public Action? BlockCleared { get; init; }

    /// <summary>Writes and flushes in turn.</summary>
    public async Task RunRoundsAsync(int count)
    {
        for (var i = 0; i < count; i++)
        {
            await WriteAsync(0, WriteFlags.None);
            await FlushAsync();
        }
    }

    /// <summary>Writes something into every block, again and again, and never flushes; where several work, into all of them at once.</summary>
    public Task SweepAsync(int count) => UntilKilledAsync(SweepOnAsync(count));

    /// <summary>Works until the first worker is through, or the process was killed.</summary>
    public async Task RunAsync(int operationCount)
    {
        await Task.WhenAll(Enumerable.Range(0, WorkerCount).Select(worker => UntilKilledAsync(WorkAsync(worker, operationCount))).ToArray());
        if (!IsToStop())
        {
            await UntilKilledAsync(CheckReadAsync(0, Oracle.SectorCount));
        }
    }

    private static async Task UntilKilledAsync(Task work)
    {
        try
        {
            await work;
        }
        catch (ProcessKilledException)
        {
            // What was under way has no answer: it may have happened, or not.
        }
    }

    private async Task WorkAsync(int worker, int operationCount)
    {
        for (var i = 0; IsToGoOn(worker, i, operationCount) && !IsToStop() && !IsKilled(); i++)
        {
            switch (Random.Next(24))
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
                    await ClearAsync(worker, isTrim: Random.Next(3) != 0);
                    break;

                case < 22 when WorkerCount > 1:
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

    private async Task SweepOnAsync(int count)
    {
        for (var i = 0; i < count && !IsToStop(); i++)
        {
            var writes = new List<Task>();
            for (var first = 0; first < Sites.Count && !IsToStop(); first += Sites.SitesPerBlock)
            {
                var write = WriteAsync(first + Random.Next(Sites.CountInBlock(first)), 1, WriteFlags.None, worker: 0);
                writes.Add(write);
                if (WorkerCount == 1)
                {
                    await write;
                }
            }

            await Task.WhenAll(writes); // with more than one worker, all are under way at once
        }
    }

    /// <summary>The others work as long as the one that flushes, which takes longer for each request.</summary>
    private bool IsToGoOn(int worker, int done, int operationCount)
    {
        _isFirstWorkerDone |= worker == 0 && done == operationCount;
        return worker == 0 ? done < operationCount : !_isFirstWorkerDone && done < MostRequests * operationCount;
    }

    /// <summary>One worker flushes, the others seldom do: else they would all stand in line for commits, and nothing would happen beside them.</summary>
    private bool MayFlush(int worker) => worker == 0 || Random.Next(8) == 0;

    private Task WriteAsync(int worker, WriteFlags flags)
    {
        var (first, count) = PickSectors(worker);
        return Sites.HasGaps && IsWholeBlocks(worker, first) && Random.Next(10) == 0
            ? WriteBlockAsync(first, flags, worker)
            : WriteAsync(first, count, flags, worker);
    }

    private Task WriteAsync(int first, int count, WriteFlags flags, int worker)
    {
        var skip = 0;
        var length = count * Sector;
        if (Random.Next(3) == 0)
        {
            // Not on sectors' borders.
            skip = Random.Next(Sector);
            length = Random.Next(1, length - skip + 1);
        }

        var offset = Sites.OffsetOf(first) + skip;
        var version = NextVersion();
        Trace.Add($"{worker}: write {length} bytes at {offset} (sectors {first}+{count}), version {version}{(flags == WriteFlags.Fua ? ", fua" : "")}");
        var content = Pattern.Create(offset, length, version);
        return WriteAsync(Oracle.BeginWrite(((long)first * Sector) + skip, content), offset, content, flags);
    }

    /// <summary>A block as a whole, what lies between the sites included.</summary>
    private Task WriteBlockAsync(int site, WriteFlags flags, int worker)
    {
        var (offset, length) = Sites.BlockAt(site);
        var first = Sites.FirstInBlock(site);
        var version = NextVersion();
        Trace.Add($"{worker}: write all {length} bytes at {offset} (sectors {first}+{Sites.CountInBlock(first)}), version {version}{(flags == WriteFlags.Fua ? ", fua" : "")}");
        var content = Pattern.Create(offset, (int)length, version);
        var ofSites = new byte[Sites.CountInBlock(first) * Sector];
        for (var i = 0; i < Sites.CountInBlock(first); i++)
        {
            content.AsSpan((int)(Sites.OffsetOf(first + i) - offset), Sector).CopyTo(ofSites.AsSpan(i * Sector));
        }

        return WriteAsync(Oracle.BeginWrite((long)first * Sector, ofSites), offset, content, flags);
    }

    private async Task WriteAsync(SectorOracle.Operation operation, long offset, byte[] content, WriteFlags flags)
    {
        Require(await OnTurnAsync(Device.WriteBytesAsync(offset, content, flags)), "a write");
        Oracle.End(operation);
        if (flags == WriteFlags.Fua)
        {
            Oracle.MadeDurable(operation);
        }
    }

    private Task ClearAsync(int worker, bool isTrim)
    {
        var (first, count) = PickSectors(worker);
        if (IsWholeBlocks(worker, first) && Random.Next(4) != 0)
        {
            return ClearBlockAsync(first, isTrim, worker);
        }

        return ClearAsync(first, count, Sites.OffsetOf(first), (long)count * Sector, isTrim, worker);
    }

    private Task ClearBlockAsync(int site, bool isTrim, int worker)
    {
        BlockCleared?.Invoke();
        var first = Sites.FirstInBlock(site);
        var (offset, length) = Sites.BlockAt(site);
        return ClearAsync(first, Sites.CountInBlock(first), offset, length, isTrim, worker);
    }

    private async Task ClearAsync(int first, int count, long offset, long length, bool isTrim, int worker)
    {
        Trace.Add($"{worker}: {(isTrim ? "trim" : "zero")} {length} bytes at {offset} (sectors {first}+{count})");
        var operation = Oracle.BeginZero(first, count, isHint: isTrim);
        Require(await OnTurnAsync(isTrim ? Device.TrimAsync(offset, length) : Device.ZeroAsync(offset, length)), "a trim or zero");
        Oracle.End(operation);
        if (isTrim)
        {
            Oracle.Settle(operation, await ReadAsync(first, count));
        }
    }

    /// <summary>A write and a trim of the same block at once; and before the write has ended, other blocks come and go.</summary>
    private async Task RaceAsync(int worker)
    {
        var own = Enumerable.Range(0, Oracle.SectorCount).Where(site => site % Sites.SitesPerBlock == 0 && IsWholeBlocks(worker, site)).ToArray();
        if (own.Length < 2)
        {
            return;
        }

        var block = own[Random.Next(own.Length)];
        var count = Sites.CountInBlock(block);
        var site = block + Random.Next(count);
        var version = NextVersion();
        Trace.Add($"{worker}: write sector {site}, version {version}, while sectors {block}+{count} are trimmed");
        var content = Pattern.Create(Sites.OffsetOf(site), Sector, version);
        var write = Oracle.BeginWrite((long)site * Sector, content);
        Scheduler!.IsNextSlow = true;
        var writing = Device.WriteBytesAsync(Sites.OffsetOf(site), content);
        Scheduler.IsNextSlow = false;
        var trim = Oracle.BeginZero(block, count, isHint: true);
        var (offset, length) = Sites.BlockAt(block);
        Require(await OnTurnAsync(Device.TrimAsync(offset, length)), "a trim");
        Oracle.End(trim);
        for (var round = 0; round < 3; round++)
        {
            foreach (var other in own.Where(other => other != block && Random.Next(2) == 0))
            {
                await ClearBlockAsync(other, isTrim: false, worker);
            }

            await FlushAsync();
            foreach (var other in own.Where(other => other != block))
            {
                await WriteAsync(other + Random.Next(Sites.CountInBlock(other)), 1, WriteFlags.None, worker);
            }
        }

        Require(await OnTurnAsync(writing), "a write");
        Oracle.End(write);
        var seen = await ReadAsync(block, count);
        Oracle.Settle(trim, seen, mayHaveBeenOverwritten: true);
        Oracle.Observe(block, seen);
        foreach (var other in own)
        {
            await CheckReadAsync(other, Sites.CountInBlock(other));
        }
    }

    /// <summary>Reads what others may be writing.</summary>
    private async Task ReadAnythingAsync()
    {
        var first = Random.Next(Oracle.SectorCount);
        var count = Math.Min(Random.Next(1, 2 * Sites.SitesPerBlock), Oracle.SectorCount - first);
        var watch = Oracle.BeginRead(first, count);
        var content = await ReadAsync(first, count);
        Oracle.EndRead(watch);
        for (var i = 0; i < count; i++)
        {
            var seen = content.AsSpan(i * Sector, Sector);
            if (!watch.IsVisible(first + i, seen))
            {
                throw new SimulationFailure($"a read under way with others of sector {first + i} shows {Pattern.Describe(seen)}; it holds {Oracle.Describe(first + i)}");
            }
        }
    }

    private async Task FlushAsync()
    {
        Trace.Add("flush");
        var begin = Oracle.Now();
        Require(await OnTurnAsync(Device.FlushAsync()), "a flush");
        Oracle.Flushed(begin);
    }

    private async Task CheckReadAsync(int first, int count)
    {
        var content = await ReadAsync(first, count);
        for (var i = 0; i < count; i++)
        {
            if (!Oracle.IsVisible(first + i, content.AsSpan(i * Sector, Sector)))
            {
                throw new SimulationFailure($"a read of sector {first + i} shows {Pattern.Describe(content.AsSpan(i * Sector, Sector))}; it holds {Oracle.Describe(first + i)}");
            }
        }
    }

    /// <summary>Sectors that this worker alone writes: some blocks as a whole, and single sectors of the others, often of the second block.</summary>
    private (int First, int Count) PickSectors(int worker)
    {
        while (true)
        {
            var first = WorkerCount > 1 && Random.Next(2) == 0 ? Random.Next(Sites.SitesPerBlock, 2 * Sites.SitesPerBlock) : Random.Next(Oracle.SectorCount);
            if (WorkerCount == 1)
            {
                var most = Random.Next(4) == 0 ? 3 * Sites.SitesPerBlock : 4;
                return (first, Math.Min(Random.Next(1, most + 1), Sites.NeighboursAt(first)));
            }

            if (IsWholeBlocks(worker, first))
            {
                var left = Math.Min(Sites.SitesPerBlock - (first % Sites.SitesPerBlock), Sites.NeighboursAt(first));
                return (first, Random.Next(1, left + 1));
            }

            if (!IsOwnedWhole(first) && first % WorkerCount == worker)
            {
                return (first, 1);
            }
        }
    }

    private async Task<byte[]> ReadAsync(int first, int count)
    {
        var content = new byte[count * Sector];
        for (var done = 0; done < count;)
        {
            var run = Math.Min(count - done, Sites.NeighboursAt(first + done));
            using var buffer = new NativeBuffer(run * Sector);
            buffer.Span.Fill(0xA5);
            Require(await OnTurnAsync(Device.ReadAsync(Sites.OffsetOf(first + done), buffer.Buffers)), "a read");
            buffer.Span.CopyTo(content.AsSpan(done * Sector));
            done += run;
        }

        return content;
    }

    /// <summary>The device may go on on any thread; the script goes on only on the one that picks, so that it is the same each time.</summary>
    private async ValueTask<T> OnTurnAsync<T>(ValueTask<T> request)
    {
        var result = await request;
        if (Scheduler is not null)
        {
            await Scheduler.TurnAsync();
        }

        return result;
    }

    private bool IsOwnedWhole(int site) => site / Sites.SitesPerBlock % 2 == 0;

    private bool IsWholeBlocks(int worker, int site) =>
        WorkerCount == 1 || (IsOwnedWhole(site) && site / Sites.SitesPerBlock / 2 % WorkerCount == worker);

    private void Require(BlockStatus status, string what)
    {
        if (status != BlockStatus.Ok)
        {
            throw IsKilled() || HasFailed() ? new ProcessKilledException() : new SimulationFailure($"{what} answers {status}");
        }
    }

    private sealed class ProcessKilledException() : Exception("The process is gone.");
}
