using System.Diagnostics;
using System.Globalization;
using VhdCore.Disks;
using VhdCore.Formats;

namespace VhdCore.Benchmarks.Programs;

/// <summary>How long opening an image for writing takes in a process that has done so before. Nothing is written, and closing is not counted.</summary>
internal static class OpenForWriting
{
    private const int WarmUps = 5; // for the compiler

    public static async Task<int> RunAsync(string path, int times)
    {
        var seconds = new List<double>();
        for (var i = -WarmUps; i < times; i++)
        {
            var clock = Stopwatch.StartNew();
            await using var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Writable = true });
            if (i >= 0)
            {
                seconds.Add(clock.Elapsed.TotalSeconds);
            }
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"best={seconds.Min():F5} worst={seconds.Max():F5}"));
        return 0;
    }
}
