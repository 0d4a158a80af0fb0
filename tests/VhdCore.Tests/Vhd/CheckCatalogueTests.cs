using System.Reflection;
using System.Text.RegularExpressions;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhd;

public sealed partial class CheckCatalogueTests
{
    [Fact]
    public void The_catalogue_explains_every_id_and_no_other()
    {
        var listed = IdAtLineStart().Matches(File.ReadAllText(RepositoryFiles.PathOf("docs/check-findings.md"))).Select(match => match.Groups[1].Value).ToList();
        Assert.Equal(AllIds().Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    /// <summary>Every id that a check can report.</summary>
    internal static IEnumerable<string> AllIds() =>
        new[] { typeof(VhdFindingId), typeof(VhdxFindingId) }
            .SelectMany(ids => ids.GetFields(BindingFlags.Public | BindingFlags.Static))
            .Select(field => (string)field.GetRawConstantValue()!)
            .Concat(CheckOperation.OwnIds);

    [GeneratedRegex(@"^\| `([A-Z0-9-]+)` \|", RegexOptions.Multiline)]
    private static partial Regex IdAtLineStart();
}
