using VhdCore.Errors;

namespace VhdCore.Storage;

/// <summary>Names are paths of files, and on Linux of block devices.</summary>
public sealed class FileStorageResolver : IStorageResolver
{
    private const int MaxLinks = 40; // as many as Linux follows in one path

    /// <inheritdoc/>
    public ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<IStorage>(cancellationToken);
        }

        try
        {
            return new(FileStorage.Open(name, options));
        }
        catch (ImageException e)
        {
            return ValueTask.FromException<IStorage>(e);
        }
    }

    /// <inheritdoc/>
    public bool Exists(string name) => FileStorage.Exists(name);

    /// <inheritdoc/>
    /// <exception cref="StorageException">It exists and may not be removed, or is a folder.</exception>
    public void Delete(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        try
        {
            File.Delete(name);
        }
        catch (DirectoryNotFoundException)
        {
            // Nothing there.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new StorageException($"'{name}' cannot be removed: {e.Message}", name, inner: e);
        }
    }

    /// <inheritdoc/>
    /// <remarks>Components that do not exist stay as they are, as does a name that cannot exist.</remarks>
    public string Canonicalize(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        try
        {
            // Windows takes ".." off before it looks at links, Unix after.
            return OperatingSystem.IsWindows() ? FollowLinks(Path.GetFullPath(name))
                : FollowLinks(Path.IsPathRooted(name) ? name : Path.Combine(Environment.CurrentDirectory, name));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return name;
        }
    }

    /// <inheritdoc/>
    public string Combine(string baseName, string relativeName)
    {
        ArgumentNullException.ThrowIfNull(baseName);
        ArgumentNullException.ThrowIfNull(relativeName);
        var relative = relativeName;
        while (relative.Length > 2 && relative[0] == '.' && IsSeparator(relative[1]) && !IsSeparator(relative[2]))
        {
            relative = relative[2..];
        }

        // ".." stays: behind a symbolic link only the file system knows where it leads.
        return Path.Combine(Path.GetDirectoryName(baseName) ?? Path.GetPathRoot(baseName) ?? "", relative);
    }

    private static bool IsSeparator(char c) => c == Path.DirectorySeparatorChar || c == Path.AltDirectorySeparatorChar;

    /// <summary>Component by component, as <c>realpath</c> does it, except that what is missing is no error.</summary>
    private static string FollowLinks(string fullPath)
    {
        var root = Path.GetPathRoot(fullPath)!;
        var resolved = root;
        var rest = new Stack<string>();
        PushComponents(rest, fullPath[root.Length..]);
        var links = 0;
        while (rest.TryPop(out var component))
        {
            if (component == ".")
            {
                continue;
            }

            if (component == "..")
            {
                resolved = Path.GetDirectoryName(resolved) ?? root;
                continue;
            }

            var next = Path.Combine(resolved, component);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                resolved = next;
                continue;
            }

            if (++links > MaxLinks)
            {
                return Path.GetFullPath(fullPath); // a circle: opening it says so
            }

            if (Path.GetPathRoot(target) is { Length: > 0 } targetRoot)
            {
                resolved = root = Path.GetPathRoot(Path.GetFullPath(target))!;
                target = target[targetRoot.Length..];
            }

            PushComponents(rest, target);
        }

        return resolved;
    }

    private static void PushComponents(Stack<string> rest, string path)
    {
        var components = path.Split([Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar], StringSplitOptions.RemoveEmptyEntries);
        for (var i = components.Length - 1; i >= 0; i--)
        {
            rest.Push(components[i]);
        }
    }
}
