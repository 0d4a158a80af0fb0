using System.Diagnostics;
using System.Globalization;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Testing;

namespace VhdCore.Benchmarks.Programs;

/// <summary>
/// Random reads of 4 KiB from the page cache, through images and straight from the raw file that they hold, in turns within one process. Prints the rates as a
/// share of the raw file's, which is read by RandomAccess.Read on one thread.
/// </summary>
internal static class RandomReads
{
    private const int ReadSize = 4096; // bytes
    private const int Rounds = 9;

    public static async Task<int> RunAsync(string rawPath, int depth, double secondsPerTurn, IReadOnlyList<string> images)
    {
        using var raw = File.OpenHandle(rawPath);
        using var buffer = new NativeBuffer(ReadSize * depth);
        var offsets = DataOffsets(raw, RandomAccess.GetLength(raw));
        var disks = new List<VirtualDisk>();
        var rates = new List<double>[images.Count + 1];
        try
        {
            foreach (var image in images)
            {
                disks.Add(await VirtualDisk.OpenAsync(image));
                Warm(disks[^1], offsets, buffer);
            }

            Warm(raw, offsets, buffer);
            for (var round = -1; round < Rounds; round++) // the first is for the compiler
            {
                for (var i = 0; i < rates.Length; i++)
                {
                    var turn = TimeSpan.FromSeconds(secondsPerTurn);
                    var rate = i == 0 ? Measure(raw, offsets, buffer, turn) : await MeasureAsync(disks[i - 1], offsets, buffer, depth, turn);
                    if (round < 0)
                    {
                        rates[i] = [];
                    }
                    else
                    {
                        rates[i].Add(rate);
                    }
                }
            }
        }
        finally
        {
            foreach (var disk in disks)
            {
                await disk.DisposeAsync();
            }
        }

        for (var i = 0; i < images.Count; i++)
        {
            var pairs = rates[i + 1].Zip(rates[0], (ours, peers) => ours / peers).ToList();
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{Path.GetFileName(images[i])} ours={rates[i + 1].Max():F0} peer={rates[0].Max():F0} ratio={rates[i + 1].Max() / rates[0].Max():F3} low={pairs.Min():F3} high={pairs.Max():F3}"));
        }

        return 0;
    }

    /// <summary>Places of 4 KiB that hold data, in random order.</summary>
    private static long[] DataOffsets(Microsoft.Win32.SafeHandles.SafeFileHandle raw, long length)
    {
        var offsets = new List<long>();
        var bytes = new byte[ReadSize];
        for (var offset = 0L; offset + ReadSize <= length; offset += ReadSize)
        {
            RandomAccess.Read(raw, bytes, offset);
            if (bytes.AsSpan().ContainsAnyExcept((byte)0))
            {
                offsets.Add(offset);
            }
        }

        var shuffled = offsets.ToArray();
        new Random(1).Shuffle(shuffled);
        return shuffled;
    }

    private static void Warm(Microsoft.Win32.SafeHandles.SafeFileHandle raw, long[] offsets, NativeBuffer buffer)
    {
        foreach (var offset in offsets)
        {
            RandomAccess.Read(raw, buffer.Span[..ReadSize], offset);
        }
    }

    /// <summary>Reads everything once, and compares with nothing: the interop tests do that.</summary>
    private static void Warm(VirtualDisk disk, long[] offsets, NativeBuffer buffer)
    {
        foreach (var offset in offsets)
        {
            Check(disk.Device.ReadAsync(offset, buffer.Slice(0, ReadSize)).AsTask().GetAwaiter().GetResult());
        }
    }

    private static double Measure(Microsoft.Win32.SafeHandles.SafeFileHandle raw, long[] offsets, NativeBuffer buffer, TimeSpan turn)
    {
        var clock = Stopwatch.StartNew();
        var count = 0;
        var next = 0;
        while (clock.Elapsed < turn)
        {
            for (var i = 0; i < 512; i++)
            {
                RandomAccess.Read(raw, buffer.Span[..ReadSize], offsets[next]);
                next = next + 1 == offsets.Length ? 0 : next + 1;
            }

            count += 512;
        }

        return count / clock.Elapsed.TotalSeconds;
    }

    private static async ValueTask<double> MeasureAsync(VirtualDisk disk, long[] offsets, NativeBuffer buffer, int depth, TimeSpan turn)
    {
        var device = disk.Device;
        var pending = new ValueTask<BlockStatus>[depth];
        var clock = Stopwatch.StartNew();
        var count = 0;
        var next = 0;
        while (clock.Elapsed < turn)
        {
            for (var batch = 0; batch < 512; batch += depth)
            {
                for (var i = 0; i < depth; i++)
                {
                    pending[i] = device.ReadAsync(offsets[next], buffer.Slice(i * ReadSize, ReadSize));
                    next = next + 1 == offsets.Length ? 0 : next + 1;
                }

                for (var i = 0; i < depth; i++)
                {
                    Check(await pending[i]);
                }

                count += depth;
            }
        }

        return count / clock.Elapsed.TotalSeconds;
    }

    private static void Check(BlockStatus status)
    {
        if (status != BlockStatus.Ok)
        {
            throw new IOException($"A read ended with {status}.");
        }
    }
}
