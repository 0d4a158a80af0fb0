using System.Diagnostics;
using System.Globalization;

namespace VhdCore.Simulation;

/// <summary>How long to simulate.</summary>
internal static class SimulationBudget
{
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMinutes(1);

    /// <summary>The seed of one run to repeat, from VHDKIT_SEED.</summary>
    public static int? ReplaySeed => int.TryParse(Environment.GetEnvironmentVariable("VHDKIT_SEED"), CultureInfo.InvariantCulture, out var seed) ? seed : null;

    /// <summary>How many cuts: from VHDKIT_SIMULATION_CUTS, or the number given.</summary>
    public static long Cuts(long usual) =>
        long.TryParse(Environment.GetEnvironmentVariable("VHDKIT_SIMULATION_CUTS"), CultureInfo.InvariantCulture, out var cuts) ? cuts : usual;

    /// <summary>The seed of the first run, from VHDKIT_SIMULATION_FIRST: a campaign that was ended early goes on where it was.</summary>
    public static int FirstSeed =>
        int.TryParse(Environment.GetEnvironmentVariable("VHDKIT_SIMULATION_FIRST"), CultureInfo.InvariantCulture, out var seed) ? seed : 1;

    /// <summary>Runs seeds from <see cref="FirstSeed"/> on until so many cuts were made, or one run has failed. Every minute the error stream gets a line on how far it is.</summary>
    /// <param name="cuts">How many.</param>
    /// <param name="made">How many there were already.</param>
    /// <param name="describe">Says it all in a line, for people.</param>
    /// <param name="run">Runs one seed.</param>
    /// <returns>A failure, if any.</returns>
    public static SimulationFailure? Spend(long cuts, Func<long> made, Func<string?> describe, Action<int> run)
    {
        var nextSeed = FirstSeed;
        SimulationFailure? failure = null;
        var gate = new Lock();
        var threads = Enumerable.Range(0, Math.Min(Environment.ProcessorCount, 8)).Select(_ => new Thread(Work)).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }

        var clock = Stopwatch.StartNew();
        var lines = 0;
        foreach (var thread in threads)
        {
            while (!thread.Join(ReportEvery * (lines + 1) - clock.Elapsed is { Ticks: > 0 } wait ? wait : TimeSpan.Zero))
            {
                lines++;
                Console.Error.WriteLine($"after {clock.Elapsed.TotalSeconds:f0} s: {describe()}; the next seed is {Volatile.Read(ref nextSeed)}");
            }
        }

        return failure;

        void Work()
        {
            while (failure is null && made() < cuts)
            {
                try
                {
                    run(Interlocked.Increment(ref nextSeed) - 1);
                }
                catch (SimulationFailure found)
                {
                    lock (gate)
                    {
                        failure ??= found;
                    }
                }
            }
        }
    }
}
