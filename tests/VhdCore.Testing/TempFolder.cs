namespace VhdCore.Testing;

/// <summary>A folder of its own for one test, removed with everything in it on dispose.</summary>
internal sealed class TempFolder : IDisposable
{
    public TempFolder() => Path = Directory.CreateTempSubdirectory("vhdkit-test-").FullName;

    /// <summary>Absolute.</summary>
    public string Path { get; }

    /// <summary>The absolute name of something in the folder.</summary>
    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
