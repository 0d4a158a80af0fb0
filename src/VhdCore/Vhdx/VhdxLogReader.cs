using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Reads a log that must be replayed, and judges what it would do to the file. Writes nothing.</summary>
internal static class VhdxLogReader
{
    // A full log of 1 GiB holds a quarter of this in data sectors; only made-up logs hold more, of zero descriptors.
    private const int MaxUpdates = 1 << 20;

    private const string Structure = "log";

    /// <summary>What replay comes to; null when there is nothing to replay, and where a finding says that it cannot be done.</summary>
    public static async ValueTask<VhdxLogReplay?> ReadAsync(IStorage storage, VhdxHeader header, FindingList findings, CancellationToken cancellationToken)
    {
        if (!JudgeLocation(storage, header, findings) || !header.HasLogToReplay)
        {
            return null;
        }

        if (header.LogVersion != 0)
        {
            findings.Unsupported(
                VhdxFindingId.LogVersion, "header", header.FileOffset + 64,
                $"The log's version is {header.LogVersion}, and it holds changes that must be replayed; only version 0 is specified.",
                "Open the image with the program that wrote it, and close it properly.");
            return null;
        }

        var logOffset = (long)header.LogOffset;
        var scanner = new VhdxLogScanner(storage, logOffset, header.LogLength, header.LogGuid);
        var sequence = await scanner.FindActiveSequenceAsync(cancellationToken).ConfigureAwait(false);
        if (scanner.TornEntryCount > 0)
        {
            findings.Note(
                VhdxFindingId.LogTornEntries, Structure, logOffset + scanner.FirstTornPosition,
                $"{scanner.TornEntryCount} entries of the log are not whole, as a power cut leaves them, or contradict their checksum; the newest whole ones are used.");
        }

        if (sequence.Count == 0)
        {
            findings.Corrupt(
                VhdxFindingId.LogNoSequence, Structure, logOffset,
                $"The header says that the log holds changes to replay (log identifier {header.LogGuid}), and no complete sequence of such entries is in it: " +
                "the tables may be old, or half written.",
                "Take the image from a backup.");
            return null;
        }

        var head = sequence[^1];
        if (!JudgeHead(storage, head, logOffset, findings))
        {
            return null;
        }

        var updates = new List<VhdxLogUpdate>();
        foreach (var entry in sequence)
        {
            if (!await ReadUpdatesAsync(scanner, header, entry, updates, findings, cancellationToken).ConfigureAwait(false))
            {
                return null;
            }
        }

        if (scanner.StaleEntryCount > 0)
        {
            findings.Note(
                VhdxFindingId.LogStaleEntries, Structure, logOffset,
                $"The log still holds {scanner.StaleEntryCount} entries of earlier sessions, which count for nothing.");
        }

        findings.Note(
            VhdxFindingId.LogDirty, Structure, logOffset + head.LogPosition,
            $"The image was not closed properly: its log holds {sequence.Count} entries to replay, with the sequence numbers {sequence[0].SequenceNumber} to {head.SequenceNumber} "
            + $"from byte {sequence[0].LogPosition} of the log on, and in them {updates.Count} updates to the tables. They are taken into account whenever the image is read; 'vhdkit replay' makes them in the file.");
        return new VhdxLogReplay
        {
            EntryCount = sequence.Count,
            HeadSequenceNumber = head.SequenceNumber,
            FlushedFileOffset = head.FlushedFileOffset,
            LastFileOffset = (long)head.LastFileOffset,
            Updates = updates,
            StaleEntryCount = scanner.StaleEntryCount,
        };
    }

    private static bool JudgeLocation(IStorage storage, VhdxHeader header, FindingList findings)
    {
        var offset = header.LogOffset;
        string? problem = null;
        if (header.LogLength == 0)
        {
            problem = "has no length";
        }
        else if (!Alignment.Is(header.LogLength, VhdxLayout.StructureAlignment) || (offset & (VhdxLayout.StructureAlignment - 1)) != 0 || offset < VhdxLayout.HeaderSectionSize)
        {
            problem = "does not lie on whole MiB behind the header section";
        }
        else if (offset > (ulong)storage.Length || header.LogLength > storage.Length - (long)offset)
        {
            problem = $"does not lie inside the file, which has {storage.Length} bytes";
        }

        if (problem is not null)
        {
            var message = $"The log of {header.LogLength} bytes at byte {offset} {problem}.";
            if (header.HasLogToReplay)
            {
                findings.Corrupt(VhdxFindingId.LogLocation, "header", header.FileOffset + 68, message + " It holds changes that must be replayed.");
            }
            else
            {
                findings.Warn(VhdxFindingId.LogLocation, "header", header.FileOffset + 68, message + " It is not needed for reading.", FindingRefusal.Writing);
            }

            return false;
        }

        if (header.LogLength > VhdxLayout.MaxLogLength && header.HasLogToReplay)
        {
            findings.Unsupported(
                VhdxFindingId.LogTooLarge, "header", header.FileOffset + 68,
                $"The log of {header.LogLength} bytes holds changes to replay; logs of up to {VhdxLayout.MaxLogLength} bytes are handled.",
                "Open the image with the program that wrote it, and close it properly.");
            return false;
        }

        return true;
    }

    private static bool JudgeHead(IStorage storage, VhdxLogEntry head, long logOffset, FindingList findings)
    {
        var at = logOffset + head.LogPosition;
        if (head.FlushedFileOffset > (ulong)storage.Length)
        {
            findings.Corrupt(
                VhdxFindingId.LogFileTruncated, Structure, at + 48,
                $"The file has {storage.Length} bytes, and had at least {head.FlushedFileOffset} when its log was last written: it was cut short.",
                "Copy it again from where it came, or take it from a backup.");
            return false;
        }

        if (head.LastFileOffset > VhdxLayout.MaxFileLength)
        {
            findings.Corrupt(
                VhdxFindingId.LogTarget, Structure, at + 56,
                $"The log's newest entry says that the file has to have {head.LastFileOffset} bytes, which no image has.");
            return false;
        }

        const ulong BelowMiB = VhdxLayout.OneMiB - 1;
        if (head.FlushedFileOffset == 0 || (head.FlushedFileOffset & BelowMiB) != 0 || (head.LastFileOffset & BelowMiB) != 0)
        {
            // Windows Server 2012 writes 0, old QEMU what it has.
            findings.Note(
                VhdxFindingId.LogFileOffsets, Structure, at + 48,
                $"The log's newest entry gives {head.FlushedFileOffset} and {head.LastFileOffset} bytes for the file's length; the format wants whole MiB, and more than none.");
        }

        return true;
    }

    /// <summary>Adds an entry's updates; false when a finding says why they cannot be made.</summary>
    private static async ValueTask<bool> ReadUpdatesAsync(
        VhdxLogScanner scanner, VhdxHeader header, VhdxLogEntry entry, List<VhdxLogUpdate> updates, FindingList findings, CancellationToken cancellationToken)
    {
        if (entry.DescriptorCount > (uint)(MaxUpdates - updates.Count))
        {
            findings.Unsupported(
                VhdxFindingId.LogTooManyUpdates, Structure, (long)header.LogOffset + entry.LogPosition,
                $"The log holds more than {MaxUpdates} updates, which no program writes.", "Open the image with the program that wrote it, and close it properly.");
            return false;
        }

        var first = entry.LogPosition / VhdxLayout.LogSectorSize;
        var descriptorSectors = VhdxLogEntry.DescriptorSectors(entry.DescriptorCount);
        var dataSector = first + descriptorSectors;
        for (long sector = 0; sector < descriptorSectors; sector++)
        {
            var bytes = await scanner.ReadSectorAsync(first + sector, cancellationToken).ConfigureAwait(false);
            var (start, count) = VhdxLogEntry.DescriptorsIn(sector, entry.DescriptorCount);
            for (var i = 0; i < count; i++)
            {
                var descriptor = new VhdxLogDescriptorView(bytes.Span[(start + (i * VhdxLogDescriptorView.Size))..]);
                var length = descriptor.IsZero ? descriptor.ZeroLength : VhdxLayout.LogSectorSize;
                if (TargetProblem(header, descriptor.FileOffset, length) is { } problem)
                {
                    findings.Corrupt(
                        VhdxFindingId.LogTarget, Structure, (long)header.LogOffset + entry.LogPosition,
                        $"The log's entry with the sequence number {entry.SequenceNumber} wants to change {length} bytes at byte {descriptor.FileOffset}, which {problem}. Nothing of the log is believed.");
                    return false;
                }

                if (descriptor.IsZero)
                {
                    updates.Add(new VhdxLogUpdate((long)descriptor.FileOffset, (long)length, -1, 0, 0));
                    continue;
                }

                var source = (long)header.LogOffset + (dataSector * VhdxLayout.LogSectorSize % header.LogLength);
                updates.Add(new VhdxLogUpdate((long)descriptor.FileOffset, (long)length, source, descriptor.LeadingBytes, descriptor.TrailingBytes));
                dataSector++;
            }
        }

        return true;
    }

    private static string? TargetProblem(VhdxHeader header, ulong offset, ulong length)
    {
        const ulong BelowSector = VhdxLayout.LogSectorSize - 1;
        if (((offset | length) & BelowSector) != 0)
        {
            return "are no whole 4 KiB sectors";
        }

        if (offset > VhdxLayout.MaxFileLength || length > VhdxLayout.MaxFileLength - offset)
        {
            return "lie behind the end of the largest image";
        }

        if (offset < VhdxLayout.FirstLoggableOffset)
        {
            return "belong to the file type identifier or the headers";
        }

        return offset < header.LogOffset + header.LogLength && header.LogOffset < offset + length ? "belong to the log itself" : null;
    }
}
