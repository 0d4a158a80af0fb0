namespace VhdCore.Testing;

/// <summary>The repository that the tests were built in.</summary>
internal static class RepositoryFiles
{
    private static readonly string[] FoldersLeftOut = ["bin", "obj", ".git", "artifacts", "TestResults"];

    /// <summary>The folder that holds VhdKit.sln.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The absolute name of something in the repository; the name is given with forward slashes.</summary>
    public static string PathOf(string name) => Path.Combine(Root, name.Replace('/', Path.DirectorySeparatorChar));

    /// <summary>Every file below a folder that belongs to the repository rather than to a build, by names with forward slashes, sorted.</summary>
    public static IReadOnlyList<string> Below(string folder, string extension)
    {
        var names = Walk(new DirectoryInfo(PathOf(folder)))
            .Where(file => file.Extension == extension)
            .Select(file => Path.GetRelativePath(Root, file.FullName).Replace(Path.DirectorySeparatorChar, '/'))
            .ToList();
        names.Sort(StringComparer.Ordinal);
        return names;
    }

    private static IEnumerable<FileInfo> Walk(DirectoryInfo folder) => folder.EnumerateFiles().Concat(folder
        .EnumerateDirectories()
        .Where(child => !FoldersLeftOut.Contains(child.Name))
        .SelectMany(Walk));

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "VhdKit.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"{AppContext.BaseDirectory} does not lie in the repository.");
    }
}
