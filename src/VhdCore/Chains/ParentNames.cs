using System.Text;
using VhdCore.Storage;

namespace VhdCore.Chains;

/// <summary>
/// Where an image's parent may lie: the names that the child gives for it, each as this system can understand it, in the order to try.
/// </summary>
/// <remarks>
/// A child may have been made on another system and moved since, so a Windows path is also tried without its drive, below the child's folder, and
/// as a bare name beside the child. Which of the names is right, the parent's identifier tells.
/// </remarks>
internal static class ParentNames
{
    private const string FileScheme = "file://";
    private const string VolumePrefix = "Volume{";
    private const int MaxShownLength = 256; // characters
    private const int MaxFoldersAbove = 32;

    // Longer than any path: Linux takes 4096 bytes, Windows 32767 characters.
    private static readonly int MaxNameLength = OperatingSystem.IsWindows() ? 32_767 : 4096;

    /// <summary>All names to try, in order, none twice.</summary>
    /// <param name="childName">The child's name in <paramref name="resolver"/>.</param>
    /// <param name="written">What the child calls its parent, as it stands in the file.</param>
    /// <param name="resolver">Whose names are made.</param>
    public static IReadOnlyList<string> Candidates(string childName, IReadOnlyList<string> written, IStorageResolver resolver)
    {
        var names = new List<string>();
        foreach (var name in written)
        {
            AddReadings(names, name);
        }

        var candidates = new List<string>(names.Count);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            var candidate = resolver.Combine(childName, name);
            if (seen.Add(candidate))
            {
                candidates.Add(candidate);
            }
        }

        return candidates;
    }

    /// <summary>
    /// Where else a parent may lie that the child names by a drive, a volume or a server: below each folder above the child, one of which may hold what that drive
    /// or share held; and below a folder that the caller gives, also by its bare name.
    /// </summary>
    /// <param name="childName">The child's canonical name.</param>
    /// <param name="written">What the child calls its parent, as it stands in the file.</param>
    /// <param name="root">A folder's canonical name; null for none.</param>
    /// <param name="resolver">Whose names are made.</param>
    public static IReadOnlyList<string> WiderCandidates(string childName, IReadOnlyList<string> written, string? root, IStorageResolver resolver)
    {
        var candidates = new List<string>();
        foreach (var name in written)
        {
            if (name.Length is 0 || name.Length > MaxNameLength || name.Contains('\0', StringComparison.Ordinal))
            {
                continue;
            }

            var path = PathOnDrive(name);
            if (path is not null && !OperatingSystem.IsWindows())
            {
                var up = "";
                for (var depth = childName.Count(character => character == '/'); depth > 1 && up.Length < 3 * MaxFoldersAbove; depth--)
                {
                    up += "../";
                    candidates.Add(resolver.Combine(childName, up + path));
                }
            }

            if (root is not null)
            {
                var inRoot = Path.EndsInDirectorySeparator(root) ? root + "child" : root + "/child";
                foreach (var below in new[] { path, name.Replace('\\', '/').Split('/')[^1] })
                {
                    if (below?.Length > 0 && below is not ("." or ".."))
                    {
                        candidates.Add(resolver.Combine(inRoot, below));
                    }
                }
            }
        }

        return candidates;
    }

    /// <summary>A name from an image, fit for a message: cut to some length, and characters that a terminal would obey replaced.</summary>
    public static string Printable(string name)
    {
        var text = new StringBuilder(Math.Min(name.Length, MaxShownLength) + 1);
        for (var i = 0; i < Math.Min(name.Length, MaxShownLength); i++)
        {
            text.Append(char.IsControl(name[i]) || (char.IsSurrogate(name[i]) && !IsPaired(name, i)) ? '\uFFFD' : name[i]);
        }

        return name.Length > MaxShownLength ? text.Append('\u2026').ToString() : text.ToString();
    }

    private static bool IsPaired(string text, int at) =>
        char.IsHighSurrogate(text[at]) ? at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]) : at > 0 && char.IsHighSurrogate(text[at - 1]);

    private static void AddReadings(List<string> names, string written)
    {
        if (!written.StartsWith(FileScheme, StringComparison.OrdinalIgnoreCase))
        {
            AddPaths(names, written);
            return;
        }

        var path = written[FileScheme.Length..];
        if (path.StartsWith("localhost/", StringComparison.OrdinalIgnoreCase))
        {
            path = path["localhost".Length..];
        }

        // libvhd does not escape; others follow the rules for URLs.
        AddPaths(names, path);
        if (path.Contains('%', StringComparison.Ordinal))
        {
            AddPaths(names, Uri.UnescapeDataString(path));
        }
    }

    private static void AddPaths(List<string> names, string written)
    {
        if (written.Length == 0 || written.Length > MaxNameLength || written.Contains('\0', StringComparison.Ordinal))
        {
            return;
        }

        var path = WithoutDevicePrefix(written);
        var withSlashes = path.Replace('\\', '/');
        var isOnVolume = path.StartsWith(VolumePrefix, StringComparison.OrdinalIgnoreCase) && path.Contains('}', StringComparison.Ordinal);
        var hasDrive = path.Length >= 2 && path[1] == ':' && char.IsAsciiLetter(path[0]);
        if (OperatingSystem.IsWindows() || path.StartsWith('/'))
        {
            Add(names, OperatingSystem.IsWindows() && isOnVolume ? written : path); // absolute here, whatever backslashes are part of its names
        }

        if (!OperatingSystem.IsWindows() && !hasDrive && !isOnVolume)
        {
            Add(names, withSlashes);
        }

        // \\?\Volume{identifier}\x is x on a volume that only its own system knows.
        var withoutDrive = isOnVolume ? withSlashes[(withSlashes.IndexOf('}', StringComparison.Ordinal) + 1)..] : hasDrive ? withSlashes[2..] : withSlashes;
        if (!OperatingSystem.IsWindows())
        {
            Add(names, withoutDrive);
        }

        Add(names, withoutDrive.TrimStart('/'));
        Add(names, withoutDrive[(withoutDrive.LastIndexOf('/') + 1)..]);
    }

    /// <summary>The path on a drive, a volume or a server's share, with slashes; null for any other name.</summary>
    private static string? PathOnDrive(string written)
    {
        var path = WithoutDevicePrefix(written).Replace('\\', '/');
        if (path.Length >= 2 && path[1] == ':' && char.IsAsciiLetter(path[0]))
        {
            path = path[2..];
        }
        else if (path.StartsWith(VolumePrefix, StringComparison.OrdinalIgnoreCase) && path.Contains('}', StringComparison.Ordinal))
        {
            path = path[(path.IndexOf('}', StringComparison.Ordinal) + 1)..];
        }
        else if (written.StartsWith(@"\\", StringComparison.Ordinal))
        {
            // Some write \\?\server\share, without UNC.
            var parts = path.TrimStart('/').Split('/', 3);
            path = parts.Length == 3 ? parts[2] : "";
        }
        else
        {
            return null;
        }

        path = path.TrimStart('/');
        return path.Length > 0 && !path.Split('/').Contains("..") ? path : null;
    }

    // \\?\C:\x is C:\x, and \\?\UNC\server\share is \\server\share; MacX paths can be "/C:/x".
    private static string WithoutDevicePrefix(string path)
    {
        if (path.StartsWith(@"\\?\UNC\", StringComparison.OrdinalIgnoreCase))
        {
            return @"\\" + path[@"\\?\UNC\".Length..];
        }

        if (path.StartsWith(@"\\?\", StringComparison.Ordinal))
        {
            return path[@"\\?\".Length..];
        }

        return path.Length >= 3 && path[0] == '/' && path[2] == ':' && char.IsAsciiLetter(path[1]) ? path[1..] : path;
    }

    private static void Add(List<string> names, string name)
    {
        if (name.Length > 0 && name is not ("." or ".." or "./" or "../"))
        {
            names.Add(name);
        }
    }
}
