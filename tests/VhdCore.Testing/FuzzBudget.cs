using System.Diagnostics;
using System.Globalization;

namespace VhdCore.Testing;

/// <summary>
/// How much a fuzzer tries. By default it is always the same seeds, as many on every machine. VHDKIT_FUZZ_SECONDS sets a time instead, and a first seed that is
/// new each time; VHDKIT_FUZZ_SEED sets the first seed.
/// </summary>
internal sealed class FuzzBudget
{
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly double? _seconds;
    private readonly int _usualCount;

    /// <param name="usualCount">Seeds without VHDKIT_FUZZ_SECONDS.</param>
    /// <param name="share">The part of VHDKIT_FUZZ_SECONDS that is this test's.</param>
    public FuzzBudget(int usualCount, double share = 1)
    {
        _usualCount = usualCount;
        _seconds = Number("VHDKIT_FUZZ_SECONDS") * share;
        First = Number("VHDKIT_FUZZ_SEED") ?? (_seconds is null ? 1 : Random.Shared.Next(int.MaxValue / 2));
    }

    /// <summary>Whether what takes too long for every run is to be tried as well (VHDKIT_FUZZ_LENGTHS=all).</summary>
    public static bool TriesEveryLength => Environment.GetEnvironmentVariable("VHDKIT_FUZZ_LENGTHS") == "all";

    /// <summary>The first seed; each case has the next one.</summary>
    public int First { get; }

    /// <summary>Whether a seed is to be tried.</summary>
    public bool Covers(int seed) => _seconds is { } seconds ? _watch.Elapsed.TotalSeconds < seconds || seed < First + 3 : seed - First < _usualCount;

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : null;
}
