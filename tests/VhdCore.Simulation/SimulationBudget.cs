using System.Globalization;

namespace VhdCore.Simulation;

/// <summary>How long to simulate.</summary>
internal static class SimulationBudget
{
    /// <summary>The seed of one run to repeat, from VHDKIT_SEED.</summary>
    public static int? ReplaySeed => int.TryParse(Environment.GetEnvironmentVariable("VHDKIT_SEED"), CultureInfo.InvariantCulture, out var seed) ? seed : null;

    /// <summary>How many cuts: from VHDKIT_SIMULATION_CUTS, or the number given.</summary>
    public static long Cuts(long usual) =>
        long.TryParse(Environment.GetEnvironmentVariable("VHDKIT_SIMULATION_CUTS"), CultureInfo.InvariantCulture, out var cuts) ? cuts : usual;

    /// <summary>Runs seeds from 1 on until so many cuts were made, or one run has failed.</summary>
    /// <returns>A failure, if any.</returns>
    public static SimulationFailure? Spend(long cuts, CutStatistics statistics) =>
        Spend(cuts, () => statistics.Total, seed => PowerCutRun.Run(seed, statistics));

    /// <inheritdoc cref="Spend(long, CutStatistics)"/>
    /// <param name="cuts">How many.</param>
    /// <param name="made">How many there were already.</param>
    /// <param name="run">Runs one seed.</param>
    public static SimulationFailure? Spend(long cuts, Func<long> made, Action<int> run)
    {
        var nextSeed = 0;
        SimulationFailure? failure = null;
        var gate = new Lock();
        var threads = Enumerable.Range(0, Math.Min(Environment.ProcessorCount, 8)).Select(_ => new Thread(Work)).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        return failure;

        void Work()
        {
            while (failure is null && made() < cuts)
            {
                try
                {
                    run(Interlocked.Increment(ref nextSeed));
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
