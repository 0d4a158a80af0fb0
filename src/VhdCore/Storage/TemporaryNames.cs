using VhdCore.Errors;

namespace VhdCore.Storage;

/// <summary>The names of files that will take another's place once they are whole.</summary>
internal static class TemporaryNames
{
    private const int IdLength = 12; // characters, hexadecimal
    private const string Extension = ".part";

    /// <summary>A new name on the way to <paramref name="name"/>, in the same folder.</summary>
    public static string For(string name) => $"{name}.{Guid.NewGuid().ToString("N")[..IdLength]}{Extension}";

    /// <summary>Whether <paramref name="file"/>, without a folder, was made by <see cref="For"/> of <paramref name="name"/>, likewise.</summary>
    public static bool IsFor(string name, string file) =>
        file.Length == name.Length + 1 + IdLength + Extension.Length
        && file.StartsWith(name, StringComparison.Ordinal)
        && file[name.Length] == '.'
        && file.EndsWith(Extension, StringComparison.Ordinal)
        && file.Skip(name.Length + 1).Take(IdLength).All(static c => char.IsAsciiHexDigitLower(c) || char.IsAsciiDigit(c));

    /// <summary>Removes what killed processes left on the way to a name. What somebody still has open stays, as does what cannot be removed: it only takes space.</summary>
    public static void RemoveAbandoned(string name)
    {
        try
        {
            var full = Path.GetFullPath(name);
            if (Path.GetDirectoryName(full) is not { } folder)
            {
                return;
            }

            foreach (var file in Directory.EnumerateFiles(folder))
            {
                if (IsFor(Path.GetFileName(full), Path.GetFileName(file)))
                {
                    Linux.LinuxFileOpener.RemoveUnlessInUse(file);
                }
            }
        }
        catch (Exception e) when (e is ImageException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            // A folder that may be written but not listed, say.
        }
    }
}
