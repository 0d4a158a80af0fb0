namespace VhdCore.Interop.Samples;

/// <summary>Fails, on dispose, when a file of the folder came, went, or has another content, length or time of change than at the start.</summary>
internal sealed class UnchangedFolder(string folder, bool hash = true) : IDisposable
{
    private readonly List<string> _before = Describe(folder, hash);

    public void Dispose() => Assert.Equal(_before, Describe(folder, hash));

    private static List<string> Describe(string folder, bool hash) =>
    [
        .. new DirectoryInfo(folder).EnumerateFiles()
            .OrderBy(file => file.Name, StringComparer.Ordinal)
            .Select(file => $"{file.Name} {file.Length} {file.LastWriteTimeUtc:O} {(hash ? SampleFolder.HashOfFile(file.FullName) : "")}"),
    ];
}
