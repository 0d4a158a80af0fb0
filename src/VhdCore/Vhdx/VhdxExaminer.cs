using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// Reads an image's structures and judges them, all in one place, for opening, describing and checking. Beside the log, where there is one to replay, it
/// reads some hundred KiB.
/// </summary>
internal static class VhdxExaminer
{
    private const ushort SupportedVersion = 1;

    /// <summary>Looks at every structure that can be reached; refuses nothing, and writes nothing.</summary>
    /// <exception cref="Errors.StorageException">The medium failed.</exception>
    public static async ValueTask<VhdxExamination> ExamineAsync(IStorage storage, CancellationToken cancellationToken)
    {
        var findings = new FindingList();
        var metadata = await ReadAsync(storage, findings, cancellationToken).ConfigureAwait(false);
        return new VhdxExamination { Path = storage.Name, Findings = findings.All, Metadata = metadata };
    }

    private static async ValueTask<VhdxMetadata?> ReadAsync(IStorage storage, FindingList findings, CancellationToken cancellationToken)
    {
        if (storage.Length < VhdxLayout.HeaderSectionSize)
        {
            findings.Corrupt(
                VhdxFindingId.FileTooShort, "file", storage.Length,
                $"The file has {storage.Length} bytes; a VHDX's header section alone takes {VhdxLayout.HeaderSectionSize}. It was cut short, or is something else.");
            return null;
        }

        var identifier = new byte[VhdxFileTypeIdentifierView.Size];
        await storage.ReadExactAsync(0, identifier, "the file type identifier", cancellationToken).ConfigureAwait(false);
        if (!new VhdxFileTypeIdentifierView(identifier).HasSignature)
        {
            findings.Corrupt(
                VhdxFindingId.Signature, "file type identifier", 0,
                "The file does not begin with 'vhdxfile': its start was overwritten, or it is something else.");
            return null;
        }

        if (!Alignment.Is(storage.Length, VhdxLayout.StructureAlignment))
        {
            // Disk2vhd leaves 512 bytes behind the last block, old QEMU a last block cut short.
            findings.Note(
                VhdxFindingId.FileLength, "file", storage.Length,
                $"The file has {storage.Length} bytes, which is no whole number of MiB. What a last block lacks reads as zeros.");
        }

        var headers = await VhdxHeaderFinder.FindAsync(storage, findings, cancellationToken).ConfigureAwait(false);
        if (headers.Current is not { } header)
        {
            return null;
        }

        if (header.Version != SupportedVersion)
        {
            findings.Unsupported(
                VhdxFindingId.HeaderVersion, "header", header.FileOffset + 66,
                $"The header's version is {header.Version}; {SupportedVersion} is the only one that was ever specified.",
                "Convert the image with the program that made it.");
            return null;
        }

        var replay = await VhdxLogReader.ReadAsync(storage, header, findings, cancellationToken).ConfigureAwait(false);
        if (!findings.CanGoOn)
        {
            return null;
        }

        // Not disposed of: the storage stays the caller's.
        var view = replay is null ? storage : new VhdxReplayOverlay(storage, replay);
        var table = await VhdxRegionReader.ReadAsync(view, header, findings, cancellationToken).ConfigureAwait(false);
        if (table is null || !findings.CanGoOn)
        {
            return null;
        }

        var draft = Draft(new VhdxFileTypeIdentifierView(identifier).Creator, headers, replay, table);
        return await VhdxItemReader.ReadAsync(view, draft, findings, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What is known before the metadata items are read: everything but the disk's parameters.</summary>
    /// <param name="creator">As the file's maker named itself.</param>
    /// <param name="headers">With a current one.</param>
    /// <param name="replay">What is to be replayed.</param>
    /// <param name="table">With both known regions.</param>
    internal static VhdxMetadata Draft(string creator, VhdxHeaderPair headers, VhdxLogReplay? replay, VhdxRegionTable table) => new()
    {
        Creator = creator,
        Headers = headers,
        Header = headers.Current!,
        Replay = replay,
        Regions = table.Regions,
        DamagedRegionTableOffset = table.DamagedCopyOffset,
        BatRegion = table.Regions.First(region => region.Id == VhdxKnownIds.BatRegion),
        MetadataRegion = table.Regions.First(region => region.Id == VhdxKnownIds.MetadataRegion),
        Items = [],
        BlockSize = 0,
        LeaveBlocksAllocated = false,
        VirtualSize = 0,
        LogicalSectorSize = 0,
        PhysicalSectorSize = 0,
    };
}
