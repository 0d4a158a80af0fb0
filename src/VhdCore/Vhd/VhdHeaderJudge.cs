using System.Numerics;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>Judges a dynamic disk header against the footer and the file's length. Pure.</summary>
internal static class VhdHeaderJudge
{
    /// <summary>The header's findings, and the metadata with what follows from the header filled in.</summary>
    public static VhdMetadata Judge(VhdMetadata metadata, VhdDynamicHeaderView view, long fileLength, List<Finding> findings)
    {
        var header = metadata.Header!;
        var at = metadata.HeaderOffset;
        if (!header.ChecksumIsValid)
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderChecksum, FindingSeverity.Corruption, "dynamic header", at,
                $"The dynamic disk header's checksum is 0x{header.Checksum:X8}, its bytes sum up to 0x{view.ComputeChecksum():X8}: some of it was changed or damaged.")
            {
                IsRepairable = true,
                Refusal = FindingRefusal.Checksum,
                NextStep = "If the image is known to be good otherwise, read it with --ignore-bad-checksum; 'vhdkit check' shows what else is wrong. It is not opened for writing.",
            });
        }

        if (header.HeaderVersion >> 16 != 1)
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderVersion, FindingSeverity.Corruption, "dynamic header", at + 24,
                $"The dynamic disk header's version is {header.HeaderVersion >> 16}.{header.HeaderVersion & 0xFFFF}; version 1.0 is the only one that was ever specified.")
            {
                Refusal = FindingRefusal.Unsupported,
                NextStep = "Convert the image with the program that made it.",
            });
        }

        if (!BitOperations.IsPow2(header.BlockSize) || header.BlockSize is < VhdLayout.SectorSize or > VhdLayout.MaxBlockSize)
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderBlockSize, FindingSeverity.Corruption, "dynamic header", at + 32,
                $"The block size is {header.BlockSize} bytes; it must be a power of two from 512 bytes to 256 MiB.")
            {
                Refusal = FindingRefusal.Corrupt,
            });
            return metadata;
        }

        if (header.BlockSize is not (VhdLayout.DefaultBlockSize or 512 << 10))
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderBlockSizeUnusual, FindingSeverity.Note, "dynamic header", at + 32,
                $"The block size is {header.BlockSize} bytes. Hyper-V takes 512 KiB and 2 MiB, XenServer up to 2 MiB."));
        }

        return JudgeTable(metadata, header, at, fileLength, findings);
    }

    private static VhdMetadata JudgeTable(VhdMetadata metadata, VhdDynamicHeader header, long at, long fileLength, List<Finding> findings)
    {
        var blockCount = Alignment.CountOf(metadata.VirtualSize, header.BlockSize);
        if (blockCount > VhdLayout.MaxBlockCount)
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderTableTooLarge, FindingSeverity.Corruption, "dynamic header", at + 28,
                $"A disk of {metadata.VirtualSize} bytes in blocks of {header.BlockSize} bytes needs a table of {blockCount} entries; up to {VhdLayout.MaxBlockCount} are read, to bound the memory that an image can demand.")
            {
                Refusal = FindingRefusal.Unsupported,
                NextStep = "No known program writes such images: the size or the block size is most likely damaged. Run 'vhdkit check'.",
            });
            return metadata;
        }

        if (blockCount > header.MaxTableEntries)
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderTableTooSmall, FindingSeverity.Corruption, "dynamic header", at + 28,
                $"Page table too small: the disk of {metadata.VirtualSize} bytes has {blockCount} blocks of {header.BlockSize} bytes, the block allocation table {header.MaxTableEntries} entries.")
            {
                Refusal = FindingRefusal.Corrupt,
                NextStep = $"The size was taken by {metadata.SizeRule}: where the footer's other size is right, take it with --force-size=chs or --force-size=current.",
            });
            return metadata;
        }

        var limit = metadata.DataEnd(fileLength);
        var tableSize = (long)header.MaxTableEntries * VhdLayout.BatEntrySize;
        if (header.TableOffset > (ulong)limit || tableSize > limit - (long)header.TableOffset)
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderTableLocation, FindingSeverity.Corruption, "dynamic header", at + 16,
                $"The block allocation table of {tableSize} bytes at byte {header.TableOffset} ends behind the file's data, which ends at byte {limit}.")
            {
                Refusal = FindingRefusal.Corrupt,
                NextStep = "Compare the file's length with the original's: it may have been cut short.",
            });
            return metadata;
        }

        var tableOffset = (long)header.TableOffset;
        if (tableOffset < VhdLayout.FooterSize || (tableOffset < at + VhdLayout.HeaderSize && at < tableOffset + tableSize))
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderTableLocation, FindingSeverity.Corruption, "dynamic header", at + 16,
                $"The block allocation table at byte {tableOffset} lies over the footer's copy or the dynamic header.")
            {
                Refusal = FindingRefusal.Corrupt,
            });
            return metadata;
        }

        if (!Alignment.Is(tableOffset, VhdLayout.SectorSize))
        {
            findings.Add(new Finding(
                VhdFindingId.HeaderTableUnaligned, FindingSeverity.Warning, "dynamic header", at + 16,
                $"The block allocation table begins at byte {tableOffset}, in the middle of a sector: an entry that a power cut meets may be torn.")
            {
                Refusal = FindingRefusal.Writing,
                NextStep = "Convert the image into a new one to write to it.",
            });
        }

        return metadata with { BlockCount = (int)blockCount };
    }
}
