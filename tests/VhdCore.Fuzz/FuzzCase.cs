using System.IO.Compression;

namespace VhdCore.Fuzz;

/// <summary>An image with its parents, as files by name.</summary>
/// <param name="Description">Where it comes from and what was done to it.</param>
/// <param name="Leaf">The name of the file to open.</param>
/// <param name="Files">Names without folders.</param>
internal sealed record FuzzCase(string Description, string Leaf, IReadOnlyDictionary<string, byte[]> Files)
{
    /// <summary>Bytes over all files.</summary>
    public long TotalLength => Files.Values.Sum(file => (long)file.Length);

    public static FuzzCase Load(string path)
    {
        using var archive = ZipFile.OpenRead(path);
        var files = new Dictionary<string, byte[]>();
        foreach (var entry in archive.Entries)
        {
            using var content = new MemoryStream();
            using var packed = entry.Open();
            packed.CopyTo(content);
            files[entry.FullName] = content.ToArray();
        }

        return new FuzzCase(archive.Comment, archive.Entries[0].FullName, files);
    }

    /// <summary>Keeps the case in one small file, the leaf first.</summary>
    public void Save(string path)
    {
        using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
        archive.Comment = Description;
        foreach (var name in Files.Keys.Order(StringComparer.Ordinal).OrderBy(name => name != Leaf))
        {
            var entry = archive.CreateEntry(name, CompressionLevel.SmallestSize);
            entry.LastWriteTime = new DateTimeOffset(2024, 1, 1, 0, 0, 0, TimeSpan.Zero);
            using var packed = entry.Open();
            packed.Write(Files[name]);
        }
    }
}
