using System.Text.RegularExpressions;

namespace VhdCore.Tests.Tidy;

/// <summary>What every source file here keeps to, beside what the compiler's analyzers hold. Each rule gives one sentence for each breach.</summary>
internal static partial class TidyRules
{
    public const int MaxLines = 500;

    /// <summary>The namespace is the project and the folder; a file of the src and tests folders that declares none holds no type.</summary>
    public static IEnumerable<string> NamespaceMatchesFolder(SourceText file)
    {
        var expected = string.Join('.', file.Folders.Skip(1));
        if (file.Namespace is { } actual ? actual != expected : TypeDeclaration().IsMatch(file.Text))
        {
            yield return $"{file.Name}: the namespace is {file.Namespace ?? "missing"}, the folder says {expected}.";
        }
    }

    public static IEnumerable<string> NoRegion(SourceText file) => Breaches(file, Region(), "a region hides size: split the file.");

    public static IEnumerable<string> NoLongFile(SourceText file)
    {
        if (file.LineCount > MaxLines)
        {
            yield return $"{file.Name}: {file.LineCount} lines; the limit is {MaxLines}, the habit 300. Split it by concept.";
        }
    }

    public static IEnumerable<string> NoSleep(SourceText file) => CodeBreaches(file, Sleep(), "sleeping is guessing: wait for what is awaited.");

    public static IEnumerable<string> NothingLeftOut(SourceText file) => CodeBreaches(file, Unwritten(), "finish it, or refuse with an UnsupportedImageException.");

    public static IEnumerable<string> NoBareToDo(SourceText file) => Breaches(file, BareToDo(), "say in a sentence what is to be done, and why it is not.");

    public static IEnumerable<string> NoMachinePath(SourceText file) => Breaches(file, MachinePath(), "a path of somebody's machine.");

    private static IEnumerable<string> Breaches(SourceText file, Regex pattern, string sentence) => file.Lines
        .Where(line => pattern.IsMatch(line.Line))
        .Select(line => $"{file.Name}({line.Number}): {sentence}");

    private static IEnumerable<string> CodeBreaches(SourceText file, Regex pattern, string sentence) => file.CodeLines
        .Where(line => pattern.IsMatch(line.Line))
        .Select(line => $"{file.Name}({line.Number}): {sentence}");

    [GeneratedRegex(@"\b(?:class|struct|record|enum|interface) [A-Z]")]
    private static partial Regex TypeDeclaration();

    [GeneratedRegex(@"^\s*#(?:end)?region\b")]
    private static partial Regex Region();

    [GeneratedRegex(@"\bThread\.Sleep\b")]
    private static partial Regex Sleep();

    [GeneratedRegex(@"\bNotImplementedException\b")]
    private static partial Regex Unwritten();

    // A sentence: a colon, at least four words, a full stop.
    [GeneratedRegex(@"\b(?:TODO|FIXME|HACK|XXX)\b(?!: \S+(?: \S+){3,}\.\s*$)")]
    private static partial Regex BareToDo();

    [GeneratedRegex(@"(?<![\w.~])/(?:work|home|Users|root)/\w|\b[A-Za-z]:\\{1,2}Users\\")]
    private static partial Regex MachinePath();
}
