using VhdCore.Errors;

namespace VhdCore.Vhdx;

/// <summary>Judges the parent locator item ([MS-VHDX] §2.6.2.6).</summary>
internal static class VhdxParentLocatorReader
{
    /// <summary>More keys than this are not looked at; the format defines five.</summary>
    public const int MaxKeyCount = 256;

    private const string Structure = "parent locator";

    /// <summary>What the item says; null where there is no parent, and where a finding says that it cannot be told.</summary>
    public static VhdxParentLocator? Judge(bool hasParent, long parametersOffset, IReadOnlyDictionary<Guid, VhdxItem> items, FindingList findings)
    {
        var item = items.GetValueOrDefault(VhdxKnownIds.ParentLocator);
        if (!hasParent)
        {
            if (item is not null)
            {
                findings.Note(
                    VhdxFindingId.ParentUnexpected, Structure, item.FileOffset,
                    "There is a parent locator, but the file parameters say that this is no differencing disk: the parent is not used.");
            }

            return null;
        }

        if (item is null)
        {
            findings.Corrupt(
                VhdxFindingId.ParentLocatorMissing, Structure, parametersOffset + 4,
                "This is a differencing disk, and there is no parent locator to tell its parent by.");
            return null;
        }

        if (item.Bytes.Length < VhdxParentLocatorView.HeaderSize)
        {
            findings.Corrupt(VhdxFindingId.ParentLocatorEntry, Structure, item.FileOffset, $"The parent locator has {item.Bytes.Length} bytes, too few.");
            return null;
        }

        var view = new VhdxParentLocatorView(item.Bytes);
        if (view.LocatorType != VhdxKnownIds.VhdxParentLocator)
        {
            findings.Unsupported(
                VhdxFindingId.ParentLocatorType, Structure, item.FileOffset,
                $"The parent locator is of the type {view.LocatorType}; only VHDX parents ({VhdxKnownIds.VhdxParentLocator}) are handled.",
                "Convert the image with the program that made it.");
            return null;
        }

        if (view.KeyValueCount > MaxKeyCount || !view.HasAllEntries)
        {
            findings.Corrupt(
                VhdxFindingId.ParentLocatorEntry, Structure, item.FileOffset + 18,
                $"The parent locator has {view.KeyValueCount} keys, more than its {item.Bytes.Length} bytes or {MaxKeyCount} allow.");
            return null;
        }

        return JudgeKeys(item, Keys(view, item, findings), findings);
    }

    private static List<KeyValuePair<string, string>> Keys(VhdxParentLocatorView view, VhdxItem item, FindingList findings)
    {
        var entries = new List<KeyValuePair<string, string>>();
        for (var i = 0; i < view.KeyValueCount; i++)
        {
            var at = item.FileOffset + VhdxParentLocatorView.HeaderSize + (i * VhdxParentLocatorView.EntrySize);
            if (!view.TryGetEntry(i, out var key, out var value))
            {
                findings.Warn(VhdxFindingId.ParentLocatorEntry, Structure, at, $"Key {i} of the parent locator or its value does not lie inside the item; it is not used.");
            }
            else if (entries.Exists(entry => entry.Key == key))
            {
                findings.Warn(VhdxFindingId.ParentLocatorEntry, Structure, at, $"The parent locator has the key '{VhdxText.Printable(key)}' twice; the first is used.");
            }
            else
            {
                entries.Add(new(key, value));
                if (!view.IsExact(i, key, value))
                {
                    findings.Note(
                        VhdxFindingId.ParentLocatorText, Structure, at,
                        $"The parent locator's key '{VhdxText.Printable(key)}' or its value holds a NUL or half a character, which the format forbids; what comes before it is used.");
                }
            }
        }

        return entries;
    }

    private static VhdxParentLocator JudgeKeys(VhdxItem item, List<KeyValuePair<string, string>> entries, FindingList findings)
    {
        var linkages = new List<Guid>();
        foreach (var key in (string[])["parent_linkage", "parent_linkage2"])
        {
            if (ValueOf(key) is not { } text)
            {
                continue;
            }

            // The specification says lower case and shows upper; both are read, with and without braces.
            if (Guid.TryParse(text.Trim(), out var linkage))
            {
                linkages.Add(linkage);
            }
            else
            {
                findings.Warn(VhdxFindingId.ParentLinkage, Structure, item.FileOffset, $"The parent locator's {key} is no identifier: '{VhdxText.Printable(text)}'.");
            }
        }

        if (ValueOf("parent_linkage") is null)
        {
            findings.Warn(
                VhdxFindingId.ParentLinkage, Structure, item.FileOffset,
                "The parent locator has no parent_linkage: nothing tells whether a parent is the right one.", FindingRefusal.Writing);
        }

        if (ValueOf("parent_linkage2") is not null)
        {
            findings.Note(
                VhdxFindingId.ParentLinkageSecond, Structure, item.FileOffset,
                "The parent locator has a parent_linkage2: a merge into the parent was begun and has not ended. Either identifier is taken for the parent's.");
        }

        List<string> names = [];
        foreach (var key in (string[])["relative_path", "volume_path", "absolute_win32_path"])
        {
            if (ValueOf(key) is { Length: > 0 } name)
            {
                names.Add(name);
            }
        }

        if (names.Count == 0)
        {
            findings.Warn(VhdxFindingId.ParentUnnamed, Structure, item.FileOffset, "The parent locator gives no path to the parent.");
        }

        return new VhdxParentLocator { FileOffset = item.FileOffset, Linkages = linkages, Names = names, Entries = entries };

        string? ValueOf(string key) => entries.Find(entry => entry.Key == key).Value;
    }
}
