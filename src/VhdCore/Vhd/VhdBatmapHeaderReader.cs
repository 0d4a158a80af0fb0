using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>Finds XenServer's batmap. Nothing points to it: its header lies behind the table's last sector.</summary>
internal static class VhdBatmapHeaderReader
{
    /// <summary>The findings on it, and the metadata with it where it can be relied on.</summary>
    public static async ValueTask<VhdMetadata> ReadAsync(IStorage storage, VhdMetadata metadata, List<Finding> findings, CancellationToken cancellationToken)
    {
        if (metadata.BlockCount == 0)
        {
            return metadata; // the table's place is not known
        }

        var header = metadata.Header!;
        var isTapdisk = VhdCreatorApplication.IsTapdisk(metadata.Footer.CreatorApplication) && metadata.Footer.CreatorVersion > VhdCreatorApplication.Tapdisk01;
        var offset = (long)header.TableOffset + Alignment.Up((long)header.MaxTableEntries * VhdLayout.BatEntrySize, VhdLayout.SectorSize);
        var batmap = await ReadHeaderAsync(storage, offset, cancellationToken).ConfigureAwait(false);
        if (batmap is null)
        {
            // Version 1.1 made it optional; later ones take for granted that it is there.
            if (isTapdisk && metadata.Footer.CreatorVersion > VhdCreatorApplication.Tapdisk11)
            {
                findings.Add(new Finding(
                    VhdFindingId.BatmapMissing, FindingSeverity.Warning, "batmap", offset,
                    "The image says that XenServer's libvhd wrote it, but has no batmap behind its table: libvhd will take whatever lies there for one."));
            }

            return metadata;
        }

        if (batmap.HasKeyHash)
        {
            findings.Add(new Finding(
                VhdFindingId.BatmapKeyHash, FindingSeverity.Warning, "batmap", offset + 29,
                "The disk's content is encrypted: the batmap's header carries a hash of XenServer's key (AES-XTS).")
            {
                Refusal = FindingRefusal.Unsupported,
                NextStep = "Decrypt it on the XenServer host that has the key; copying it here would give ciphertext.",
            });
        }

        if (!isTapdisk)
        {
            findings.Add(new Finding(
                VhdFindingId.BatmapStale, FindingSeverity.Note, "batmap", offset,
                $"Behind the table lies a batmap of XenServer's, but creator '{metadata.Footer.CreatorText}' does not keep one true; it is left alone."));
            return metadata;
        }

        if (batmap.Version is < VhdBatmapHeaderView.SignedSumVersion or > VhdBatmapHeaderView.NewestVersion)
        {
            findings.Add(new Finding(
                VhdFindingId.BatmapVersion, FindingSeverity.Warning, "batmap", offset + 20,
                $"The batmap's version is {batmap.Version >> 16}.{batmap.Version & 0xFFFF}, which is unknown (1.1 and 1.2 are known); it is not used, and a change to the disk may leave it untrue.")
            {
                Refusal = FindingRefusal.Writing,
                NextStep = "Convert the image into a new one to write to it.",
            });
            return metadata with { Batmap = batmap, BatmapHeaderOffset = offset };
        }

        var end = metadata.DataEnd(storage.Length);
        var size = (long)batmap.MapSectorCount * VhdLayout.SectorSize;
        if (batmap.MapOffset > (ulong)end || size > end - (long)batmap.MapOffset || batmap.MapOffset < VhdLayout.FooterSize)
        {
            findings.Add(new Finding(
                VhdFindingId.BatmapLocation, FindingSeverity.Corruption, "batmap", offset + 8,
                $"The batmap of {size} bytes at byte {batmap.MapOffset} does not lie inside the file's data, which ends at byte {end}. Content is not in doubt: the map only saves reading bitmaps.")
            {
                Refusal = FindingRefusal.Writing,
                NextStep = "Convert the image into a new one to write to it.",
            });
        }

        return metadata with { Batmap = batmap, BatmapHeaderOffset = offset };
    }

    private static async ValueTask<VhdBatmapHeader?> ReadHeaderAsync(IStorage storage, long offset, CancellationToken cancellationToken)
    {
        if (offset > storage.Length || VhdBatmapHeaderView.Size > storage.Length - offset)
        {
            return null;
        }

        var bytes = new byte[VhdBatmapHeaderView.Size];
        await storage.ReadExactAsync(offset, bytes, "the batmap's header", cancellationToken).ConfigureAwait(false);
        var view = new VhdBatmapHeaderView(bytes);
        return view.HasCookie ? view.ToHeader() : null;
    }
}
