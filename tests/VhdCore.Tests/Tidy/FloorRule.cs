using System.Text.RegularExpressions;

namespace VhdCore.Tests.Tidy;

/// <summary>Each floor of VhdCore knows only floors below it. A floor is a folder; floors of one number do not know each other.</summary>
internal static partial class FloorRule
{
    /// <summary>From the ground up; ARCHITECTURE.md says what lives where.</summary>
    public static readonly IReadOnlyDictionary<string, int> Floors = new Dictionary<string, int>
    {
        ["Primitives"] = 0,
        ["Errors"] = 0,
        ["Storage"] = 1,
        ["Layers"] = 2,
        ["Raw"] = 3,
        ["Vhd"] = 3,
        ["Vhdx"] = 3,
        ["Formats"] = 4,
        ["Chains"] = 5,
        ["Devices"] = 6,
        ["Operations"] = 7,
        ["Disks"] = 8,
    };

    /// <summary>The one exception: words of the public surface that every format must understand, although they live beside the detector.</summary>
    public static readonly IReadOnlySet<string> SharedWords = new HashSet<string>
    {
        "ImageFormat", "ImageKind", "ImageOpenOptions", "ImageCreateOptions", "ImageWarning", "ParentPolicy", "VhdSizeChoice",
    };

    /// <summary>Where <paramref name="file"/> reaches up, one sentence each.</summary>
    /// <param name="file">A file of src/VhdCore.</param>
    /// <param name="formatsTypes">Every type that the Formats floor declares.</param>
    public static IEnumerable<string> Check(SourceText file, IReadOnlySet<string> formatsTypes)
    {
        var folder = file.Folders.Length > 2 ? file.Folders[2] : "";
        if (!Floors.TryGetValue(folder, out var floor))
        {
            yield return $"{file.Name}: the folder '{folder}' is no floor that FloorRule knows.";
            yield break;
        }

        foreach (var (number, line) in file.CodeLines)
        {
            foreach (var other in Mention().Matches(line).Select(match => match.Groups[1].Value).Where(other => other != folder))
            {
                var isBelow = Floors.TryGetValue(other, out var otherFloor) && otherFloor < floor;
                if (!isBelow && !(other == "Formats" && floor == 3))
                {
                    yield return $"{file.Name}({number}): {folder} does not lie above {other}.";
                }
            }

            if (floor == 3)
            {
                foreach (var type in Identifier().Matches(line).Select(match => match.Value))
                {
                    if (formatsTypes.Contains(type) && !SharedWords.Contains(type))
                    {
                        yield return $"{file.Name}({number}): {type} lives in Formats, above {folder}.";
                    }
                }
            }
        }
    }

    /// <summary>The types that files declare.</summary>
    public static IReadOnlySet<string> DeclaredTypes(IEnumerable<SourceText> files) => files
        .SelectMany(file => Declaration().Matches(file.Text).Select(match => match.Groups[1].Value))
        .ToHashSet();

    [GeneratedRegex(@"\bVhdCore\.(\w+)")]
    private static partial Regex Mention();

    [GeneratedRegex(@"(?<![.\w])[A-Z]\w+")]
    private static partial Regex Identifier();

    [GeneratedRegex(@"^(?:public|internal)[\w ]*\b(?:class|struct|record|enum|interface) (\w+)", RegexOptions.Multiline)]
    private static partial Regex Declaration();
}
