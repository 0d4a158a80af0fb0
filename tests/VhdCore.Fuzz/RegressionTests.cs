using VhdCore.Testing;

namespace VhdCore.Fuzz;

/// <summary>Damaged images that once got something out of the library that never may come out.</summary>
public sealed class RegressionTests
{
    public static TheoryData<string> Names =>
        [.. Directory.EnumerateFiles(RepositoryFiles.PathOf("tests/VhdCore.Fuzz/Regressions"), "*.zip").Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_case_that_was_found_stays_mended(string name)
    {
        var fuzzCase = FuzzCase.Load(RepositoryFiles.PathOf("tests/VhdCore.Fuzz/Regressions/" + name));
        foreach (var variant in FuzzVariant.All)
        {
            await Task.Run(() => Oracle.JudgeAsync(fuzzCase, variant)).WaitAsync(Patience.Hang);
        }
    }
}
