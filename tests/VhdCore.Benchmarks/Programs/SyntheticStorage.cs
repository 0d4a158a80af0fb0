using System.Diagnostics;
using System.Globalization;
using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdService.Testing;

namespace VhdCore.Benchmarks.Programs;

/// <summary>
/// What the synthetic SCSI controller costs: a guest in memory keeps 32 reads of 4 KiB in flight, and the time in the host's code is counted. Once over memory, once
/// over a hot dynamic VHDX, beside the same reads from the bare device in the same run. Then reads of 1 MiB into pages that lie anywhere, beside copying memory.
/// </summary>
internal static class SyntheticStorage
{
    private const int Depth = 32;
    private const int ReadSize = 4096; // bytes
    private const int LargeSize = 1 << 20; // bytes
    private const long DiskSize = 64 << 20; // bytes
    private const int Rounds = 7;

    public static async Task<int> RunAsync(string folder, double secondsPerTurn)
    {
        var turn = TimeSpan.FromSeconds(secondsPerTurn);
        var offsets = new long[Depth * 512];
        var random = new Random(1);
        for (var i = 0; i < offsets.Length; i++)
        {
            offsets[i] = random.NextInt64(DiskSize / ReadSize) * ReadSize;
        }

        await using (var ram = new RamDevice(DiskSize))
        {
            await MeasureSmallAsync("memory", ram, offsets, turn);
            await MeasureLargeAsync(ram, turn);
        }

        var path = Path.Combine(folder, "synthetic.vhdx");
        await using (var disk = await VirtualDisk.CreateAsync(path, new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = DiskSize }))
        {
            var content = new byte[DiskSize];
            random.NextBytes(content);
            await disk.WriteAsync(0, content);
            await disk.FlushAsync();
            await MeasureSmallAsync("dynamic VHDX", disk.Device, offsets, turn);
        }

        File.Delete(path);
        return 0;
    }

    private static async Task MeasureSmallAsync(string name, IBlockDevice device, long[] offsets, TimeSpan turn)
    {
        var world = new DirectWorld();
        var machine = new HostMachine(world, ramPages: 4096);
        machine.Target.Attach(0, device);
        var driver = machine.Start();
        using (var load = new ReadLoad(world, driver, Depth, ReadSize))
        using (var buffer = new NativeBuffer(Depth * ReadSize))
        {
            double best = double.MaxValue, bestBare = double.MaxValue;
            long requests = 0, allocated = 0, interrupts = 0, signals = 0;
            var ratios = new List<double>();
            for (var round = -1; round < Rounds; round++) // the first is for the compiler
            {
                world.Reset();
                var (count, before) = (0L, load.SignalCount);
                for (var clock = Stopwatch.StartNew(); clock.Elapsed < turn;)
                {
                    for (var at = 0; at < offsets.Length; at += Depth)
                    {
                        load.Run(offsets.AsSpan(at, Depth));
                        count += Depth;
                    }
                }

                var mine = Stopwatch.GetElapsedTime(0, world.HostTicks).TotalMicroseconds / count;
                var bare = MeasureBare(device, offsets, buffer, turn);
                if (round >= 0)
                {
                    best = Math.Min(best, mine);
                    bestBare = Math.Min(bestBare, bare);
                    ratios.Add(bare / mine);
                    requests += count;
                    allocated += world.HostAllocated;
                    interrupts += world.InterruptCount;
                    signals += load.SignalCount - before;
                }
            }

            ratios.Sort();
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"4 KiB reads at depth {Depth} over {name}: {best:F2} us of the host a request ({bestBare:F2} us the bare device; ratio {bestBare / best:F2}, median {ratios[ratios.Count / 2]:F2}), " +
                $"{(double)interrupts / requests:F3} interrupts and {(double)signals / requests:F3} signals a request, {(double)allocated / requests:F3} bytes allocated"));
        }

        await machine.DisposeAsync();
    }

    private static double MeasureBare(IBlockDevice device, long[] offsets, NativeBuffer buffer, TimeSpan turn)
    {
        var (count, ticks) = (0L, 0L);
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < turn;)
        {
            var start = Stopwatch.GetTimestamp();
            for (var at = 0; at < offsets.Length; at++)
            {
                Check(device.ReadAsync(offsets[at], buffer.Slice(at % Depth * ReadSize, ReadSize)));
            }

            ticks += Stopwatch.GetTimestamp() - start;
            count += offsets.Length;
        }

        return Stopwatch.GetElapsedTime(0, ticks).TotalMicroseconds / count;
    }

    private static async Task MeasureLargeAsync(RamDevice device, TimeSpan turn)
    {
        const int LargeDepth = 8;
        var world = new DirectWorld();
        var machine = new HostMachine(world, ramPages: 4096);
        machine.Target.Attach(0, device);
        var driver = machine.Start();
        using (var load = new ReadLoad(world, driver, LargeDepth, LargeSize))
        using (var buffer = new NativeBuffer(LargeDepth * LargeSize))
        {
            var offsets = Enumerable.Range(0, 64).Select(i => (long)(i * 37 % 64) * LargeSize).ToArray();
            double best = 0, bestCopy = 0, bestScatter = 0;
            for (var round = -1; round < Rounds; round++)
            {
                world.Reset();
                long bytes = 0;
                for (var clock = Stopwatch.StartNew(); clock.Elapsed < turn;)
                {
                    for (var at = 0; at < offsets.Length; at += LargeDepth)
                    {
                        load.Run(offsets.AsSpan(at, LargeDepth));
                        bytes += LargeDepth * LargeSize;
                    }
                }

                var mine = bytes / Stopwatch.GetElapsedTime(0, world.HostTicks).TotalSeconds / (1 << 30);
                var copy = MeasureCopy(offsets, turn, offset => device.Content.Slice((int)offset, LargeSize).CopyTo(buffer.Span[(int)(offset / LargeSize % LargeDepth * LargeSize)..]));
                var scatter = MeasureCopy(offsets, turn, offset =>
                {
                    var from = device.Content.Slice((int)offset, LargeSize);
                    var pages = load.Pages((int)(offset / LargeSize % LargeDepth));
                    for (var page = 0; page < pages.Count; page++)
                    {
                        from.Slice(page * ReadSize, ReadSize).CopyTo(machine.Ram.Page(pages[page]));
                    }
                });
                if (round >= 0)
                {
                    best = Math.Max(best, mine);
                    bestCopy = Math.Max(bestCopy, copy);
                    bestScatter = Math.Max(bestScatter, scatter);
                }
            }

            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"1 MiB reads into scattered pages: {best:F1} GiB/s; copying memory to those pages {bestScatter:F1} GiB/s, ratio {best / bestScatter:F2}; to one piece of memory {bestCopy:F1} GiB/s, ratio {best / bestCopy:F2}"));
        }

        await machine.DisposeAsync();
    }

    private static double MeasureCopy(long[] offsets, TimeSpan turn, Action<long> copy)
    {
        var (bytes, ticks) = (0L, 0L);
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < turn;)
        {
            var start = Stopwatch.GetTimestamp();
            foreach (var offset in offsets)
            {
                copy(offset);
                bytes += LargeSize;
            }

            ticks += Stopwatch.GetTimestamp() - start;
        }

        return bytes / Stopwatch.GetElapsedTime(0, ticks).TotalSeconds / (1 << 30);
    }

    private static void Check(ValueTask<BlockStatus> read)
    {
        var status = read.IsCompletedSuccessfully ? read.Result : read.AsTask().GetAwaiter().GetResult();
        if (status != BlockStatus.Ok)
        {
            throw new IOException($"A read ended with {status}.");
        }
    }
}
