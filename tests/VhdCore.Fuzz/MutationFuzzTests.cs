using VhdCore.Testing;

namespace VhdCore.Fuzz;

/// <summary>
/// Damaged images, as many as <see cref="FuzzBudget"/> says. A case that fails is kept as a file, which belongs into tests/VhdCore.Fuzz/Regressions.
/// </summary>
public sealed class MutationFuzzTests(ITestOutputHelper output)
{
    private const int UsualCount = 5000;

    [Fact]
    public async Task Undamaged_images_are_read_alike_by_both_readers()
    {
        foreach (var fuzzCase in Corpus.Cases)
        {
            foreach (var variant in FuzzVariant.All)
            {
                Assert.Equal(FuzzOutcome.Compared, await Oracle.JudgeAsync(fuzzCase, variant));
            }
        }
    }

    [Fact]
    public async Task Damaged_images_are_refused_or_read_alike_by_both_readers()
    {
        var budget = new FuzzBudget(UsualCount);
        var outcomes = new int[3];
        var seed = budget.First;
        for (; budget.Covers(seed); seed++)
        {
            outcomes[(int)await JudgeAsync(Mutator.Mutate(seed), seed)]++;
        }

        var count = seed - budget.First;
        var summary = $"{count} damaged images from seed {budget.First} on: {outcomes[0]} refused, {outcomes[1]} opened, {outcomes[2]} opened and compared.";
        output.WriteLine(summary);
        Console.WriteLine(summary);
        Assert.True(count < 200 || (outcomes[0] > count / 20 && outcomes[2] > count / 20), summary);
    }

    private async Task<FuzzOutcome> JudgeAsync(FuzzCase fuzzCase, int seed)
    {
        try
        {
            return await Task.Run(() => Oracle.JudgeAsync(fuzzCase, FuzzVariant.OfSeed(seed))).WaitAsync(Patience.Hang);
        }
        catch (Exception exception)
        {
            var kept = Path.Combine(Path.GetTempPath(), $"vhdkit-fuzz-{seed}-{Environment.ProcessId}.zip");
            File.Delete(kept);
            fuzzCase.Save(kept);
            output.WriteLine($"VHDKIT_FUZZ_SEED={seed}; kept as {kept}");
            Assert.Fail($"Seed {seed} ({fuzzCase.Description}), kept as {kept}: {exception}");
            throw;
        }
    }
}
