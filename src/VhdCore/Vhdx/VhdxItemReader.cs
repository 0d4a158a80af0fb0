using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Reads the metadata table and judges its items ([MS-VHDX] §2.6). Unknown items are never read.</summary>
internal static class VhdxItemReader
{
    private const string Structure = "metadata table";

    private const uint OfFile = 4; // required
    private const uint OfDisk = 6; // required, and copied to children

    private static readonly Dictionary<Guid, uint> KnownFlags = new()
    {
        [VhdxKnownIds.FileParameters] = OfFile,
        [VhdxKnownIds.VirtualDiskSize] = OfDisk,
        [VhdxKnownIds.VirtualDiskId] = OfDisk,
        [VhdxKnownIds.LogicalSectorSize] = OfDisk,
        [VhdxKnownIds.PhysicalSectorSize] = OfDisk,
        [VhdxKnownIds.ParentLocator] = OfFile,
    };

    private static readonly Dictionary<Guid, int> KnownSizes = new()
    {
        [VhdxKnownIds.FileParameters] = 8,
        [VhdxKnownIds.VirtualDiskSize] = 8,
        [VhdxKnownIds.VirtualDiskId] = 16,
        [VhdxKnownIds.LogicalSectorSize] = 4,
        [VhdxKnownIds.PhysicalSectorSize] = 4,
    };

    /// <summary>The metadata with what the items say; null when a finding says why they cannot be told.</summary>
    public static async ValueTask<VhdxMetadata?> ReadAsync(IStorage view, VhdxMetadata draft, FindingList findings, CancellationToken cancellationToken)
    {
        var region = draft.MetadataRegion;
        var regionOffset = (long)region.FileOffset;
        if (region.Length < VhdxMetadataTableView.Size)
        {
            findings.Corrupt(
                VhdxFindingId.MetadataTable, Structure, regionOffset,
                $"The metadata region has {region.Length} bytes, fewer than its table of {VhdxMetadataTableView.Size}.");
            return null;
        }

        var table = new byte[VhdxMetadataTableView.Size];
        await view.ReadExactAsync(regionOffset, table, "the metadata table", cancellationToken).ConfigureAwait(false);
        if (Entries(table, regionOffset, findings) is not { } entries)
        {
            return null;
        }

        var known = Judge(entries, region, findings);
        if (!findings.CanGoOn)
        {
            return null;
        }

        var items = new Dictionary<Guid, VhdxItem>();
        foreach (var (id, entry) in known)
        {
            if (KnownSizes.TryGetValue(id, out var size) && entry.Length > size)
            {
                findings.Note(
                    VhdxFindingId.MetadataItemSize, Structure, regionOffset + entry.Offset,
                    $"The {NameOf(id)} has {entry.Length} bytes; the format defines the first {size}, and the others are left alone.");
            }

            var bytes = new byte[entry.Length];
            await view.ReadExactAsync(regionOffset + entry.Offset, bytes, "a metadata item", cancellationToken).ConfigureAwait(false);
            items.Add(id, new VhdxItem(regionOffset + entry.Offset, bytes));
        }

        return VhdxDiskParameters.Judge(draft with { Items = entries }, items, findings);
    }

    private static VhdxMetadataEntry[]? Entries(byte[] bytes, long regionOffset, FindingList findings)
    {
        var table = new VhdxMetadataTableView(bytes);
        if (!table.HasSignature || table.EntryCount > VhdxMetadataTableView.MaxEntryCount)
        {
            findings.Corrupt(
                VhdxFindingId.MetadataTable, Structure, regionOffset,
                table.HasSignature
                    ? $"The metadata table has {table.EntryCount} entries, more than the {VhdxMetadataTableView.MaxEntryCount} that can be."
                    : "The metadata region does not begin with 'metadata': it was overwritten, or the region table leads to the wrong place.");
            return null;
        }

        var entries = new VhdxMetadataEntry[table.EntryCount];
        for (var i = 0; i < entries.Length; i++)
        {
            entries[i] = table.Entry(i);
        }

        var userCount = entries.Count(entry => entry.IsUser);
        if (userCount > VhdxMetadataTableView.MaxUserEntryCount)
        {
            findings.Warn(
                VhdxFindingId.MetadataTable, Structure, regionOffset,
                $"The metadata table has {userCount} user items; the format allows {VhdxMetadataTableView.MaxUserEntryCount}.", FindingRefusal.Writing);
        }

        return entries;
    }

    /// <summary>The known items that are there and can be read.</summary>
    private static Dictionary<Guid, VhdxMetadataEntry> Judge(VhdxMetadataEntry[] entries, VhdxRegion region, FindingList findings)
    {
        var known = new Dictionary<Guid, VhdxMetadataEntry>();
        var seen = new HashSet<(Guid, bool)>();
        for (var i = 0; i < entries.Length; i++)
        {
            var entry = entries[i];
            var at = (long)region.FileOffset + VhdxMetadataTableView.HeaderSize + ((long)i * VhdxMetadataTableView.EntrySize);
            var name = entry.IsUser ? null : NameOf(entry.ItemId);
            if (!seen.Add((entry.ItemId, entry.IsUser)))
            {
                findings.Corrupt(VhdxFindingId.MetadataItemDuplicate, Structure, at, $"The metadata table has {name ?? $"item {entry.ItemId}"} twice: nothing tells which entry is right.");
                continue;
            }

            if ((entry.Flags & ~7U) != 0)
            {
                findings.Note(VhdxFindingId.MetadataItemFlags, Structure, at, $"The entry of {name ?? $"item {entry.ItemId}"} has the flags 0x{entry.Flags:X8}; only the lowest three have a meaning.");
            }
            else if (name is not null && KnownFlags.TryGetValue(entry.ItemId, out var flags) && entry.Flags != flags)
            {
                findings.Note(VhdxFindingId.MetadataItemFlags, Structure, at, $"The entry of the {name} has the flags 0x{entry.Flags:X8}; the format gives it 0x{flags:X8}.");
            }

            if (name is null)
            {
                JudgeUnknown(entry, at, findings);
            }
            else if (entry.ItemId == VhdxKnownIds.IncompleteFile)
            {
                findings.Unsupported(
                    VhdxFindingId.MetadataIncompleteFile, Structure, at,
                    "The image is marked as incomplete: the program that was creating it, or converting into it, did not finish.",
                    "Create or convert it again.");
            }

            if (LocationProblem(entry, region) is { } problem)
            {
                JudgeLocation(entry, name, problem, at, findings);
            }
            else if (name is not null && entry.Length > 0)
            {
                known.Add(entry.ItemId, entry);
            }
        }

        JudgeOverlaps(entries, region, findings);
        return known;
    }

    private static void JudgeUnknown(VhdxMetadataEntry entry, long at, FindingList findings)
    {
        if (entry.IsRequired)
        {
            findings.Unsupported(
                VhdxFindingId.MetadataItemUnknownRequired, Structure, at,
                $"The image has a {(entry.IsUser ? "user" : "system")} metadata item {entry.ItemId}, which is unknown here and which readers are required to know.",
                "Convert the image with the program that made it.");
        }
        else
        {
            findings.Note(
                VhdxFindingId.MetadataItemUnknown, Structure, at,
                $"The image has a {(entry.IsUser ? "user" : "system")} metadata item {entry.ItemId} of {entry.Length} bytes, which is unknown here and optional; it is left alone.");
        }
    }

    private static string? LocationProblem(VhdxMetadataEntry entry, VhdxRegion region) =>
        entry.Length == 0
            ? entry.Offset == 0 ? null : $"has no length, but the offset {entry.Offset}"
            : entry.Length > VhdxMetadataTableView.MaxItemSize ? $"has {entry.Length} bytes, more than the {VhdxMetadataTableView.MaxItemSize} that can be"
            : entry.Offset < VhdxMetadataTableView.Size ? $"lies at byte {entry.Offset} of the region, inside the table"
            : entry.Offset > region.Length || entry.Length > region.Length - entry.Offset
                ? $"of {entry.Length} bytes at byte {entry.Offset} does not lie inside the region's {region.Length} bytes" : null;

    private static void JudgeLocation(VhdxMetadataEntry entry, string? name, string problem, long at, FindingList findings)
    {
        if (name is null || entry.Length == 0)
        {
            findings.Warn(VhdxFindingId.MetadataItemLocation, Structure, at, $"The metadata item {entry.ItemId} {problem}. It is not needed for reading.", FindingRefusal.Writing);
        }
        else
        {
            findings.Corrupt(VhdxFindingId.MetadataItemLocation, Structure, at, $"The {name} {problem}.");
        }
    }

    private static void JudgeOverlaps(VhdxMetadataEntry[] entries, VhdxRegion region, FindingList findings)
    {
        var places = entries.Where(entry => entry.Length > 0 && LocationProblem(entry, region) is null).OrderBy(entry => entry.Offset).ToArray();
        var furthest = 0;
        for (var i = 1; i < places.Length; i++)
        {
            if (places[i].Offset < places[furthest].Offset + places[furthest].Length)
            {
                findings.Warn(
                    VhdxFindingId.MetadataItemOverlap, Structure, (long)region.FileOffset + places[i].Offset,
                    $"The metadata items {places[furthest].ItemId} and {places[i].ItemId} share bytes of the region: at least one of them is damaged.", FindingRefusal.Writing);
            }

            if (places[i].Offset + places[i].Length > places[furthest].Offset + places[furthest].Length)
            {
                furthest = i;
            }
        }
    }

    private static string? NameOf(Guid itemId) =>
        itemId == VhdxKnownIds.FileParameters ? "file parameters item"
        : itemId == VhdxKnownIds.VirtualDiskSize ? "virtual disk size item"
        : itemId == VhdxKnownIds.VirtualDiskId ? "virtual disk id item"
        : itemId == VhdxKnownIds.LogicalSectorSize ? "logical sector size item"
        : itemId == VhdxKnownIds.PhysicalSectorSize ? "physical sector size item"
        : itemId == VhdxKnownIds.ParentLocator ? "parent locator item"
        : itemId == VhdxKnownIds.Geometry ? "geometry item"
        : itemId == VhdxKnownIds.IncompleteFile ? "incomplete file item"
        : itemId == VhdxKnownIds.PersistentMemoryLabel ? "persistent memory label item" : null;
}

/// <summary>A metadata item.</summary>
/// <param name="FileOffset">Bytes from the file's start.</param>
/// <param name="Bytes">Its content.</param>
internal sealed record VhdxItem(long FileOffset, byte[] Bytes);
