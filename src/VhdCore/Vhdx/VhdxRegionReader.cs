using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Reads the region table and judges where its regions lie ([MS-VHDX] §2.2.3).</summary>
internal static class VhdxRegionReader
{
    private const string Structure = "region table";

    /// <summary>The regions, the BAT and the metadata region among them; null when a finding says why they cannot be told.</summary>
    /// <param name="view">The file as it is after replay: the tables are updated through the log.</param>
    /// <param name="header">The current header, for the log's place.</param>
    /// <param name="findings">Where judgements go.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public static async ValueTask<VhdxRegionTable?> ReadAsync(
        IStorage view, VhdxHeader header, FindingList findings, CancellationToken cancellationToken)
    {
        var bytes = new byte[2 * VhdxRegionTableView.Size];
        await view.ReadExactAsync(VhdxLayout.FirstRegionTableOffset, bytes, "the region tables", cancellationToken).ConfigureAwait(false);
        if (Choose(bytes, findings, out var isOtherDamaged) is not { } chosen)
        {
            return null;
        }

        var regions = Entries(bytes.AsSpan(chosen * VhdxRegionTableView.Size));
        var tableOffset = VhdxLayout.FirstRegionTableOffset + (chosen * VhdxRegionTableView.Size);
        JudgeIds(regions, tableOffset, findings);
        JudgeLocations(regions, tableOffset, view.Length, findings);
        JudgeOverlaps(regions, header, tableOffset, findings);
        return new VhdxRegionTable(regions, isOtherDamaged ? VhdxLayout.FirstRegionTableOffset + VhdxLayout.SecondRegionTableOffset - tableOffset : null);
    }

    /// <summary>Which copy counts, 0 or 1.</summary>
    private static int? Choose(byte[] bytes, FindingList findings, out bool isOtherDamaged)
    {
        var faults = new string?[2];
        var isUsable = new bool[2];
        for (var i = 0; i < 2; i++)
        {
            var table = new VhdxRegionTableView(bytes.AsSpan(i * VhdxRegionTableView.Size));
            isUsable[i] = table.HasSignature && table.EntryCount <= VhdxRegionTableView.MaxEntryCount;
            faults[i] = !table.HasSignature ? "does not begin with 'regi'"
                : table.Checksum != table.ComputeChecksum() ? "has a wrong checksum"
                : !isUsable[i] ? $"has {table.EntryCount} entries, more than the {VhdxRegionTableView.MaxEntryCount} that can be" : null;
        }

        isOtherDamaged = faults[0] is not null || faults[1] is not null;
        const int First = VhdxLayout.FirstRegionTableOffset;
        const int Second = VhdxLayout.SecondRegionTableOffset;
        if (faults[0] is not null && faults[1] is not null)
        {
            var message = $"Neither region table is valid: the one at byte {First} {faults[0]}, the one at byte {Second} {faults[1]}.";
            if (!isUsable[0] && !isUsable[1])
            {
                findings.Corrupt(VhdxFindingId.RegionTableNone, Structure, First, message);
                return null;
            }

            findings.Corrupt(VhdxFindingId.RegionTableChecksum, Structure, First, message, Finding.IgnoreChecksumStep, FindingRefusal.Checksum);
            return isUsable[0] ? 0 : 1;
        }

        if (isOtherDamaged)
        {
            var bad = faults[0] is not null ? 0 : 1;
            findings.Warn(
                VhdxFindingId.RegionTableOneInvalid, Structure, First + (bad * VhdxRegionTableView.Size),
                $"The region table at byte {First + (bad * VhdxRegionTableView.Size)} {faults[bad]}; the other copy is used.", isRepairable: true);
            return 1 - bad;
        }

        if (!Entries(bytes).SequenceEqual(Entries(bytes.AsSpan(VhdxRegionTableView.Size))))
        {
            findings.Warn(
                VhdxFindingId.RegionTablesDiffer, Structure, Second,
                $"The two copies of the region table differ; the one at byte {First} is used.", FindingRefusal.Writing);
        }

        return 0;
    }

    private static VhdxRegion[] Entries(ReadOnlySpan<byte> bytes)
    {
        var table = new VhdxRegionTableView(bytes);
        var entries = new VhdxRegion[table.EntryCount];
        for (var i = 0; i < entries.Length; i++)
        {
            entries[i] = table.Entry(i);
        }

        return entries;
    }

    private static void JudgeIds(VhdxRegion[] regions, long tableOffset, FindingList findings)
    {
        var seen = new HashSet<Guid>();
        for (var i = 0; i < regions.Length; i++)
        {
            var region = regions[i];
            var at = EntryOffset(tableOffset, i);
            if (!seen.Add(region.Id))
            {
                findings.Corrupt(VhdxFindingId.RegionDuplicate, Structure, at, $"The region table names {region.Name} twice: nothing tells which entry is right.");
            }
            else if (IsKnown(region))
            {
                if (!region.IsRequired)
                {
                    // QEMU writes so.
                    findings.Note(VhdxFindingId.RegionNotRequired, Structure, at, $"The {region.Name} is not marked as required, which it always is.");
                }
            }
            else if (region.IsRequired)
            {
                findings.Unsupported(
                    VhdxFindingId.RegionUnknownRequired, Structure, at,
                    $"The image has a region {region.Id}, which is unknown here and which readers are required to know.",
                    "Convert the image with the program that made it.");
            }
            else
            {
                findings.Note(
                    VhdxFindingId.RegionUnknown, Structure, at,
                    $"The image has a region {region.Id} of {region.Length} bytes at byte {region.FileOffset}, which is unknown here and optional; it is left alone.");
            }
        }

        foreach (var id in (Guid[])[VhdxKnownIds.BatRegion, VhdxKnownIds.MetadataRegion])
        {
            if (!seen.Contains(id))
            {
                findings.Corrupt(VhdxFindingId.RegionMissing, Structure, tableOffset, $"The region table does not name the {new VhdxRegion(id, 0, 0, true).Name}.");
            }
        }
    }

    private static void JudgeLocations(VhdxRegion[] regions, long tableOffset, long fileLength, FindingList findings)
    {
        const ulong BelowMiB = VhdxLayout.StructureAlignment - 1;
        for (var i = 0; i < regions.Length; i++)
        {
            var region = regions[i];
            var problem = region.Length == 0 ? "has no length"
                : (region.FileOffset & BelowMiB) != 0 || region.FileOffset < VhdxLayout.HeaderSectionSize ? "does not lie on a whole MiB behind the header section"
                : region.FileOffset > (ulong)fileLength || region.Length > fileLength - (long)region.FileOffset
                    ? $"does not lie inside the file, which has {fileLength} bytes: the file was cut short, or the entry is damaged" : null;
            var message = $"The {region.Name} of {region.Length} bytes at byte {region.FileOffset} ";
            if (problem is not null && IsKnown(region))
            {
                findings.Corrupt(VhdxFindingId.RegionLocation, Structure, EntryOffset(tableOffset, i), message + problem + ".");
            }
            else if (problem is not null)
            {
                findings.Warn(VhdxFindingId.RegionLocation, Structure, EntryOffset(tableOffset, i), message + problem + ". It is not needed for reading.", FindingRefusal.Writing);
            }
            else if ((region.Length & BelowMiB) != 0)
            {
                findings.Warn(VhdxFindingId.RegionLocation, Structure, EntryOffset(tableOffset, i), message + "is no whole number of MiB long.", FindingRefusal.Writing);
            }
        }
    }

    private static void JudgeOverlaps(VhdxRegion[] regions, VhdxHeader header, long tableOffset, FindingList findings)
    {
        var places = new List<(ulong Start, ulong End, string Name, bool IsKnown, long At)>(regions.Length + 1);
        if (header.LogLength > 0)
        {
            places.Add((header.LogOffset, SaturatingEnd(header.LogOffset, header.LogLength), "log", header.HasLogToReplay, header.FileOffset + 68));
        }

        for (var i = 0; i < regions.Length; i++)
        {
            var region = regions[i];
            places.Add((region.FileOffset, SaturatingEnd(region.FileOffset, region.Length), region.Name, IsKnown(region), EntryOffset(tableOffset, i)));
        }

        places.Sort((a, b) => a.Start.CompareTo(b.Start));
        var furthest = 0;
        for (var i = 1; i < places.Count; i++)
        {
            var (place, other) = (places[i], places[furthest]);
            if (place.Start < other.End && place.Start < place.End)
            {
                var message = $"The {place.Name} at byte {place.Start} and the {other.Name} at byte {other.Start} share bytes of the file.";
                if (place.IsKnown && other.IsKnown)
                {
                    findings.Corrupt(VhdxFindingId.RegionOverlap, Structure, place.At, message);
                }
                else
                {
                    findings.Warn(VhdxFindingId.RegionOverlap, Structure, place.At, message + " Reading does not need both.", FindingRefusal.Writing);
                }
            }

            if (place.End > other.End)
            {
                furthest = i;
            }
        }
    }

    private static ulong SaturatingEnd(ulong start, uint length) => start > ulong.MaxValue - length ? ulong.MaxValue : start + length;

    private static bool IsKnown(VhdxRegion region) => region.Id == VhdxKnownIds.BatRegion || region.Id == VhdxKnownIds.MetadataRegion;

    private static long EntryOffset(long tableOffset, int index) => tableOffset + VhdxRegionTableView.HeaderSize + ((long)index * VhdxRegionTableView.EntrySize);
}

/// <summary>What the region table says.</summary>
/// <param name="Regions">In the table's order.</param>
/// <param name="DamagedCopyOffset">Bytes from the file's start to the copy that is not valid; null where both are.</param>
internal sealed record VhdxRegionTable(IReadOnlyList<VhdxRegion> Regions, long? DamagedCopyOffset);
