using System.Diagnostics;
using System.Globalization;
using VhdCore.Disks;
using VhdCore.Formats;

namespace VhdCore.Benchmarks.Programs;

/// <summary>Small writes, each to a block that has no place yet, and one flush at the end: what a fresh disk's first minutes are made of.</summary>
internal static class AllocatingWrites
{
    private const int WriteSize = 4096; // bytes

    /// <param name="path">A new dynamic image with at least as many blocks.</param>
    /// <param name="count">Writes.</param>
    public static async Task<int> RunAsync(string path, int count)
    {
        var clock = Stopwatch.StartNew();
        await using (var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Writable = true }))
        {
            var stride = disk.Device.Info.PreferredTrimSize; // a block
            var bytes = new byte[WriteSize];
            Array.Fill(bytes, (byte)0x5A);
            for (var i = 0; i < count; i++)
            {
                await disk.WriteAsync(i * stride, bytes);
            }

            await disk.FlushAsync();
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"seconds={clock.Elapsed.TotalSeconds:F4}"));
        return 0;
    }
}
