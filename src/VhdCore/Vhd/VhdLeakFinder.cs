using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>Finds space that no structure uses. Pure; O(n log n), eight bytes a block.</summary>
internal static class VhdLeakFinder
{
    /// <summary>Gaps as large as a block, and as what writers leave to align small ones.</summary>
    /// <returns>Where the last structure ends in bytes, the footer included, and the gaps.</returns>
    public static (long ImageEnd, IReadOnlyList<Finding> Leaks) Find(ReadOnlySpan<uint> entries, VhdMetadata metadata, long fileLength, bool isBlockDevice)
    {
        var header = metadata.Header!;
        var dataEnd = metadata.DataEnd(fileLength);
        var slotSize = VhdLayout.BitmapSize((int)header.BlockSize) + (long)header.BlockSize;
        var smallest = Math.Max(slotSize, 2 * VhdLayout.DataAlignment); // the table is filled up, and the first block's data aligned
        var used = new List<(long Start, long End)>();
        AddMetadata(metadata, used);
        var starts = new long[entries.Length - entries.Count(VhdLayout.UnusedEntry)];
        var count = 0;
        foreach (var entry in entries)
        {
            if (entry != VhdLayout.UnusedEntry)
            {
                starts[count++] = (long)entry * VhdLayout.SectorSize;
            }
        }

        Array.Sort(starts);
        used.Sort();
        var leaks = new List<Finding>();
        long end = 0;
        var nextUsed = 0;
        foreach (var start in starts)
        {
            for (; nextUsed < used.Count && used[nextUsed].Start <= start; nextUsed++)
            {
                Pass(used[nextUsed].Start, used[nextUsed].End);
            }

            Pass(start, start + slotSize);
        }

        for (; nextUsed < used.Count; nextUsed++)
        {
            Pass(used[nextUsed].Start, used[nextUsed].End);
        }

        var imageEnd = Math.Min(end, dataEnd);
        if (!isBlockDevice)
        {
            AddGap(dataEnd);
        }

        return (metadata.EndFooterOffset >= 0 ? metadata.EndFooterOffset + metadata.EndFooterLength : imageEnd, leaks);

        void Pass(long nextStart, long nextEnd)
        {
            AddGap(Math.Min(nextStart, dataEnd));
            end = Math.Max(end, nextEnd);
        }

        void AddGap(long gapEnd)
        {
            if (gapEnd - end >= smallest)
            {
                leaks.Add(new Finding(
                    VhdFindingId.Leak, FindingSeverity.Leak, "blocks", end,
                    $"{gapEnd - end} bytes are used by nothing: {(gapEnd - end) / slotSize} blocks that were given up, or made ready for writes that never came.")
                {
                    IsRepairable = true,
                });
            }
        }
    }

    private static void AddMetadata(VhdMetadata metadata, List<(long Start, long End)> used)
    {
        var header = metadata.Header!;
        var tableOffset = (long)header.TableOffset;
        used.Add((0, VhdLayout.FooterSize));
        used.Add((metadata.HeaderOffset, metadata.HeaderOffset + VhdLayout.HeaderSize));
        used.Add((tableOffset, tableOffset + ((long)header.MaxTableEntries * VhdLayout.BatEntrySize)));
        if (metadata.Batmap is { } batmap)
        {
            used.Add((metadata.BatmapHeaderOffset, metadata.BatmapHeaderOffset + VhdBatmapHeaderView.Size));
            if (batmap.MapOffset <= long.MaxValue / 2)
            {
                used.Add(((long)batmap.MapOffset, (long)batmap.MapOffset + ((long)batmap.MapSectorCount * VhdLayout.SectorSize)));
            }
        }

        foreach (var entry in header.ParentLocators)
        {
            if (entry.PlatformCode != 0 && entry.PlatformDataOffset <= long.MaxValue / 2)
            {
                var start = (long)entry.PlatformDataOffset;
                used.Add((start, start + Alignment.Up(Math.Max(entry.PlatformDataSpace, entry.PlatformDataLength), VhdLayout.SectorSize)));
            }
        }
    }
}
