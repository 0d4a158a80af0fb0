using System.Text.RegularExpressions;
using VhdCore.Testing;

namespace VhdCore.Tests.Tidy;

/// <summary>What the documents say about the repository is so.</summary>
public sealed partial class DocumentationTests
{
    public static TheoryData<string> Documents => [.. RepositoryFiles.Below(".", ".md")];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_link_inside_the_repository_leads_somewhere(string document)
    {
        var folder = Path.GetDirectoryName(RepositoryFiles.PathOf(document))!;
        Assert.All(Link().Matches(File.ReadAllText(RepositoryFiles.PathOf(document))), match =>
        {
            var target = Path.Combine(folder, match.Groups[1].Value);
            Assert.True(Path.Exists(target), $"{document} links to {match.Groups[1].Value}, which does not exist.");
        });
    }

    [Fact]
    public void The_floors_in_ARCHITECTURE_are_those_that_the_rule_knows()
    {
        var told = FloorRow().Matches(File.ReadAllText(RepositoryFiles.PathOf("ARCHITECTURE.md")))
            .SelectMany(row => row.Groups[2].Value.Split(", ").Select(folder => (Folder: folder, Floor: int.Parse(row.Groups[1].Value))))
            .ToDictionary(row => row.Folder, row => row.Floor);
        Assert.Equal(FloorRule.Floors.OrderBy(floor => floor.Key), told.OrderBy(floor => floor.Key));
    }

    [Fact]
    public void The_README_starts_with_the_two_commands()
    {
        var commands = File.ReadAllLines(RepositoryFiles.PathOf("README.md")).Where(line => line.StartsWith("    ", StringComparison.Ordinal)).Take(2);
        Assert.Equal(
            ["    dotnet run -c Release --project src/VhdCli -- convert samples/images/xen-chain/leaf.vhd out.raw", "    tests/run.sh"],
            commands);
    }

    [GeneratedRegex(@"\]\((?!https?:)([^)#]+)[^)]*\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^\| (\d) \| ([\w, ]+) \|", RegexOptions.Multiline)]
    private static partial Regex FloorRow();
}
