using System.Diagnostics;
using System.Globalization;

namespace VhdCore.Fuzz;

/// <summary>
/// Damaged images. VHDKIT_FUZZ_SECONDS sets how long (10), VHDKIT_FUZZ_SEED the first seed; each iteration has the next one. A case that fails is kept as a
/// file, which belongs into tests/VhdCore.Fuzz/Regressions.
/// </summary>
public sealed class MutationFuzzTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(60);

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
        var seconds = Number("VHDKIT_FUZZ_SECONDS") ?? 10;
        var first = Number("VHDKIT_FUZZ_SEED") ?? Random.Shared.Next();
        var outcomes = new int[3];
        var watch = Stopwatch.StartNew();
        var seed = first;
        for (; watch.Elapsed.TotalSeconds < seconds; seed++)
        {
            outcomes[(int)await JudgeAsync(Mutator.Mutate(seed), seed)]++;
        }

        var count = seed - first;
        var summary = $"{count} damaged images from seed {first} on: {outcomes[0]} refused, {outcomes[1]} opened, {outcomes[2]} opened and compared.";
        output.WriteLine(summary);
        Console.WriteLine(summary);
        Assert.True(count < 200 || (outcomes[0] > count / 20 && outcomes[2] > count / 20), summary);
    }

    private async Task<FuzzOutcome> JudgeAsync(FuzzCase fuzzCase, int seed)
    {
        try
        {
            return await Task.Run(() => Oracle.JudgeAsync(fuzzCase, FuzzVariant.OfSeed(seed))).WaitAsync(Hang);
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

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : null;
}
