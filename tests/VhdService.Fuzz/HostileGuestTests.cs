using System.Diagnostics;
using System.Globalization;

namespace VhdService.Fuzz;

/// <summary>
/// Guests that break every rule. VHDKIT_FUZZ_SECONDS sets how long (10), VHDKIT_FUZZ_SEED the first seed; each guest has the next one, and a seed is the
/// same run again.
/// </summary>
public sealed class HostileGuestTests(ITestOutputHelper output)
{
    private const long MemoryLimit = 256 << 20; // bytes over the whole campaign

    [Fact]
    public async Task A_guest_that_only_sends_odd_requests_changes_nothing_but_the_blocks_it_names() =>
        await RunAsync("odd requests", scribbles: false);

    [Fact]
    public async Task A_guest_that_breaks_every_rule_harms_nobody_but_itself() =>
        await RunAsync("broken rules", scribbles: true);

    private async Task RunAsync(string what, bool scribbles)
    {
        var seconds = (Number("VHDKIT_FUZZ_SECONDS") ?? 10) / 2.0;
        var first = Number("VHDKIT_FUZZ_SEED") ?? Random.Shared.Next();
        var watch = Stopwatch.StartNew();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var total = new FuzzTally();
        var seed = first;
        for (; watch.Elapsed.TotalSeconds < seconds || seed < first + 3; seed++)
        {
            try
            {
                await using var guest = new HostileGuest(seed, scribbles);
                total += guest.Run();
            }
            catch (Exception exception)
            {
                Assert.Fail($"VHDKIT_FUZZ_SEED={seed} ({what}): {exception}");
            }
        }

        var summary = $"{seed - first} guests from seed {first} on, {what}: {total}.";
        output.WriteLine(summary);
        Console.WriteLine(summary);
        Assert.True(total.Requests > 0 && total.Answers > 0 && total.Messages > 0, summary);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, MemoryLimit);
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : null;
}
