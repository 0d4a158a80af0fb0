using VhdCore.Testing;

namespace VhdCore.Tests.Tidy;

/// <summary>The repository keeps to its own rules.</summary>
public sealed class TidyTests
{
    private const string RulesFolder = "tests/VhdCore.Tests/Tidy/"; // speaks of what it forbids

    private static readonly IReadOnlyList<SourceText> Library = Read("src/VhdCore");
    private static readonly IReadOnlyList<SourceText> Sources = Read("src");
    private static readonly IReadOnlyList<SourceText> Tests = Read("tests");
    private static readonly IReadOnlyList<SourceText> Samples = Read("samples");

    [Fact]
    public void The_library_s_floors_point_downwards()
    {
        var formats = FloorRule.DeclaredTypes(Library.Where(file => file.Folders.Contains("Formats")));
        Assert.NotEmpty(formats);
        Hold(Library, file => FloorRule.Check(file, formats));
    }

    [Fact]
    public void Namespaces_match_folders() => Hold(Sources.Concat(Tests), TidyRules.NamespaceMatchesFolder);

    [Fact]
    public void There_are_no_regions() => Hold(All, TidyRules.NoRegion);

    [Fact]
    public void No_file_is_longer_than_500_lines() => Hold(All, TidyRules.NoLongFile);

    [Fact]
    public void Nothing_in_src_sleeps() => Hold(Sources, TidyRules.NoSleep);

    [Fact]
    public void Nothing_in_src_is_left_unwritten() => Hold(Sources, TidyRules.NothingLeftOut);

    [Fact]
    public void Every_to_do_is_a_sentence() => Hold(All, TidyRules.NoBareToDo);

    [Fact]
    public void No_path_of_a_machine_is_in_the_repository()
    {
        string[] extensions = [".md", ".sh", ".csproj", ".props", ".targets", ".json", ".txt"];
        Hold(All.Concat(extensions.SelectMany(extension => RepositoryFiles.Below(".", extension)).Select(SourceText.Read)), TidyRules.NoMachinePath);
    }

    private static IEnumerable<SourceText> All => Sources.Concat(Tests).Concat(Samples);

    private static List<SourceText> Read(string folder) => RepositoryFiles.Below(folder, ".cs").Select(SourceText.Read).ToList();

    private static void Hold(IEnumerable<SourceText> files, Func<SourceText, IEnumerable<string>> rule)
    {
        var breaches = files.Where(file => !file.Name.StartsWith(RulesFolder, StringComparison.Ordinal)).SelectMany(rule).ToList();
        Assert.True(breaches.Count == 0, string.Join('\n', breaches));
    }
}
