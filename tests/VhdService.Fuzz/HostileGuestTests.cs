using VhdCore.Testing;

namespace VhdService.Fuzz;

/// <summary>
/// Guests that break every rule, as many as <see cref="FuzzBudget"/> says; each has the next seed, and a seed is the same run again.
/// </summary>
public sealed class HostileGuestTests(ITestOutputHelper output)
{
    private const int UsualCount = 60; // guests
    private const long MemoryLimit = 256 << 20; // bytes over the whole campaign

    [Fact]
    public async Task A_guest_that_only_sends_odd_requests_changes_nothing_but_the_blocks_it_names() =>
        await RunAsync("odd requests", scribbles: false);

    [Fact]
    public async Task A_guest_that_breaks_every_rule_harms_nobody_but_itself() =>
        await RunAsync("broken rules", scribbles: true);

    [Theory]
    [InlineData(900000052)] // UNMAP, whose parameters begin elsewhere in their page
    [InlineData(500000708)]
    public async Task A_guest_that_was_misjudged_once_is_judged_rightly(int seed)
    {
        await using var guest = new HostileGuest(seed, scribbles: false);
        guest.Run();
    }

    private async Task RunAsync(string what, bool scribbles)
    {
        var budget = new FuzzBudget(UsualCount, share: 0.5);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var total = new FuzzTally();
        var seed = budget.First;
        for (; budget.Covers(seed); seed++)
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

        var summary = $"{seed - budget.First} guests from seed {budget.First} on, {what}: {total}.";
        output.WriteLine(summary);
        Console.WriteLine(summary);
        Assert.True(total.Requests > 0 && total.Answers > 0 && total.Messages > 0, summary);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, MemoryLimit);
    }
}
