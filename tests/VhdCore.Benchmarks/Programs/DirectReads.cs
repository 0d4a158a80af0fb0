using System.Diagnostics;
using System.Globalization;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Benchmarks.Programs;

/// <summary>
/// Random reads of 4 KiB past the page cache, in turns within one process: the raw file by threads that wait, then the raw file and images through each engine. Prints
/// requests a second, and microseconds of CPU a request.
/// </summary>
internal static class DirectReads
{
    private const int ReadSize = 4096; // bytes
    private const int Rounds = 5;

    public static async Task<int> RunAsync(string rawPath, int depth, double secondsPerTurn, IReadOnlyList<string> images)
    {
        var turn = TimeSpan.FromSeconds(secondsPerTurn);
        var caller = new IoSettings { Cache = StorageCache.None, Waits = CallerWaits.ForMedium };
        var ways = new List<(string Name, string Path, IoSettings Io)> { ("pread", rawPath, caller) };
        foreach (var path in images.Prepend(rawPath))
        {
            ways.Add(("uring", path, new IoSettings { Cache = StorageCache.None, Engine = StorageEngine.Uring, Waits = CallerWaits.Never }));
            ways.Add(("uring, pool", path, new IoSettings { Cache = StorageCache.None, Engine = StorageEngine.Uring, Waits = CallerWaits.ForMemory }));
            ways.Add(("portable", path, new IoSettings { Cache = StorageCache.None, Engine = StorageEngine.Portable, Waits = CallerWaits.Never }));
        }

        var results = ways.Select(_ => new List<(double Rate, double Cpu)>()).ToList();
        for (var round = -1; round < Rounds; round++) // the first is for the compiler
        {
            for (var i = 0; i < ways.Count; i++)
            {
                var (name, path, io) = ways[i];
                var format = path == rawPath ? ImageFormat.Raw : (ImageFormat?)null;
                await using var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Format = format, Io = io });
                var result = await MeasureAsync(disk, depth, turn, isThreaded: name == "pread");
                if (round >= 0)
                {
                    results[i].Add(result);
                }
            }
        }

        for (var i = 0; i < ways.Count; i++)
        {
            var best = results[i].MaxBy(result => result.Rate);
            var median = results[i].Select(result => result.Rate).Order().ElementAt(Rounds / 2);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{Path.GetFileName(ways[i].Path)} ({ways[i].Name}) depth={depth} best={best.Rate:F0} median={median:F0} cpu_us={best.Cpu:F1}"));
        }

        return 0;
    }

    /// <summary>Reads one image through a ring whose thread goes on with every task, and prints the rate.</summary>
    public static async Task<int> RunOneAsync(string path, int depth, double seconds)
    {
        var io = new IoSettings { Cache = StorageCache.None, Engine = StorageEngine.Uring, Waits = CallerWaits.Never };
        await using var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Io = io });
        await MeasureAsync(disk, depth, TimeSpan.FromSeconds(0.5), isThreaded: false); // for the compiler
        var (rate, _) = await MeasureAsync(disk, depth, TimeSpan.FromSeconds(seconds), isThreaded: false);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"rate={rate:F0}"));
        return 0;
    }

    private static async Task<(double Rate, double Cpu)> MeasureAsync(VirtualDisk disk, int depth, TimeSpan turn, bool isThreaded)
    {
        using var process = Process.GetCurrentProcess();
        using var buffer = new NativeBuffer(ReadSize * depth);
        var counts = new long[depth * 16]; // a cache line each
        var cpu = process.TotalProcessorTime;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, depth).Select(worker => isThreaded
            ? Task.Factory.StartNew(() => ReadAsync(worker).AsTask().GetAwaiter().GetResult(), TaskCreationOptions.LongRunning)
            : Task.Run(() => ReadAsync(worker).AsTask())));
        var seconds = clock.Elapsed.TotalSeconds;
        process.Refresh();
        var total = counts.Sum();
        return (total / seconds, (process.TotalProcessorTime - cpu).TotalMicroseconds / total);

        async ValueTask ReadAsync(int worker)
        {
            var random = new Random(worker);
            var device = disk.Device;
            var places = device.Length / ReadSize;
            while (clock.Elapsed < turn)
            {
                if (await device.ReadAsync(random.NextInt64(places) * ReadSize, buffer.Slice(worker * ReadSize, ReadSize)).ConfigureAwait(false) != BlockStatus.Ok)
                {
                    throw new IOException("A read failed.");
                }

                counts[worker * 16]++;
            }
        }
    }
}
