namespace VhdCore.Testing;

/// <summary>Names as the storages in memory have them: paths with '/', absolute, case-sensitive.</summary>
internal static class StorageNames
{
    public static string Canonicalize(string name)
    {
        var parts = new List<string>();
        foreach (var part in name.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == "..")
            {
                if (parts.Count > 0)
                {
                    parts.RemoveAt(parts.Count - 1);
                }
            }
            else if (part != ".")
            {
                parts.Add(part);
            }
        }

        return "/" + string.Join('/', parts);
    }

    public static string Combine(string baseName, string relativeName)
    {
        if (relativeName.StartsWith('/'))
        {
            return Canonicalize(relativeName);
        }

        var canonical = Canonicalize(baseName);
        return Canonicalize(canonical[..(canonical.LastIndexOf('/') + 1)] + relativeName);
    }
}
