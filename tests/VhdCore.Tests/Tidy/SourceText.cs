using System.Text.RegularExpressions;

namespace VhdCore.Tests.Tidy;

/// <summary>A file as the tidy rules see it.</summary>
/// <param name="Name">From the repository's root, with forward slashes.</param>
/// <param name="Text">Its content.</param>
internal sealed partial record SourceText(string Name, string Text)
{
    /// <summary>The folders above the file, root first.</summary>
    public string[] Folders => Name.Split('/')[..^1];

    /// <summary>Its lines; the number of the first is 1.</summary>
    public IEnumerable<(int Number, string Line)> Lines => Text.Split('\n').Select((line, index) => (index + 1, line));

    /// <summary>How many lines it has; a newline at the end does not begin another.</summary>
    public int LineCount => Text.TrimEnd('\n').Split('\n').Length;

    /// <summary>Its lines without what comments and strings say.</summary>
    public IEnumerable<(int Number, string Line)> CodeLines => Lines.Select(line => (line.Number, WithoutWords(line.Line)));

    /// <summary>The namespace it declares, or null.</summary>
    public string? Namespace => NamespaceDeclaration().Match(Text) is { Success: true } match ? match.Groups[1].Value : null;

    public static SourceText Read(string name) => new(name, File.ReadAllText(Testing.RepositoryFiles.PathOf(name)));

    private static string WithoutWords(string line) =>
        line.TrimStart().StartsWith("//", StringComparison.Ordinal) ? "" : Words().Replace(line, "");

    [GeneratedRegex(@"^namespace\s+([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex NamespaceDeclaration();

    [GeneratedRegex(@"""(?:[^""\\]|\\.)*""|//.*$")]
    private static partial Regex Words();
}
