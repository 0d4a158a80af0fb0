using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// Finds everything that is wrong with one VHDX, its parents aside, as it is after its log's replay. Reads all structures and the BAT; takes a bit of
/// memory for each MiB of the file.
/// </summary>
internal static class VhdxChecker
{
    /// <summary>Checks the image. Refuses nothing, writes nothing.</summary>
    /// <exception cref="StorageException">The medium failed.</exception>
    public static async ValueTask<VhdxCheckResult> CheckAsync(IStorage storage, CancellationToken cancellationToken)
    {
        var examination = await VhdxExaminer.ExamineAsync(storage, cancellationToken).ConfigureAwait(false);
        var findings = new FindingList();
        foreach (var finding in examination.Findings)
        {
            findings.Add(finding);
        }

        if (examination.Metadata is not { } metadata)
        {
            return new VhdxCheckResult { Findings = findings.ToSorted() };
        }

        var view = metadata.ViewOf(storage); // not disposed of: the storage stays the caller's
        var used = new VhdxSpaceMap();
        var bat = new VhdxBatChecker(view, metadata, used, findings);
        await bat.CheckAsync(cancellationToken).ConfigureAwait(false);
        MarkStructures(metadata, view.Length, used);
        if (metadata.Kind != ImageKind.Fixed && !storage.Traits.IsBlockDevice)
        {
            // A fixed disk's file keeps the space of blocks that are not present.
            AddUnusedSpace(metadata, view.Length, used, findings);
        }

        return new VhdxCheckResult
        {
            Findings = findings.ToSorted(),
            Metadata = metadata,
            TotalBlocks = metadata.BatLayout.PayloadBlockCount,
            AllocatedBlocks = bat.AllocatedCount,
            ImageEndOffset = Math.Min(used.End, view.Length),
        };
    }

    private static void MarkStructures(VhdxMetadata metadata, long fileLength, VhdxSpaceMap used)
    {
        used.Mark(0, VhdxLayout.HeaderSectionSize);
        Mark(metadata.Header.LogOffset, metadata.Header.LogLength);
        foreach (var region in metadata.Regions)
        {
            Mark(region.FileOffset, region.Length);
        }

        void Mark(ulong offset, uint length)
        {
            if (length > 0 && offset < (ulong)Math.Min(fileLength, VhdxLayout.MaxFileLength))
            {
                used.Mark((long)offset, length);
            }
        }
    }

    private static void AddUnusedSpace(VhdxMetadata metadata, long fileLength, VhdxSpaceMap used, FindingList findings)
    {
        for (long end = 0; used.Find(end, Math.Min(fileLength, VhdxLayout.MaxFileLength), isFree: true, out var start) is > 0 and var gap;)
        {
            end = start + gap;
            var size = Math.Min(gap, fileLength - start); // the file's last MiB need not be whole
            if (size >= metadata.BlockSize)
            {
                // Never a leak: QEMU leaves room behind its tables in every new file, and whoever writes takes such places again.
                findings.Add(new Finding(
                    VhdxFindingId.UnusedSpace, FindingSeverity.Note, "blocks", start,
                    $"{size} bytes are used by nothing: {size / metadata.BlockSize} places of blocks that new blocks will take.")
                {
                    IsRepairable = true,
                });
            }
        }
    }
}
