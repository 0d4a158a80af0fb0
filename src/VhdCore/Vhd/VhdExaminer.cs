using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>Reads an image's structures and judges them, all in one place, for opening, describing and checking. Reads at most some hundred KiB.</summary>
internal sealed class VhdExaminer
{
    private const uint SupportedMajorVersion = 1;

    private readonly IStorage _storage;
    private readonly ImageOpenOptions _options;
    private readonly List<Finding> _findings = [];

    private VhdExaminer(IStorage storage, ImageOpenOptions options)
    {
        _storage = storage;
        _options = options;
    }

    /// <summary>Looks at every structure that can be reached; refuses nothing.</summary>
    /// <exception cref="Errors.StorageException">The medium failed.</exception>
    public static async ValueTask<VhdExamination> ExamineAsync(IStorage storage, ImageOpenOptions options, CancellationToken cancellationToken)
    {
        var examiner = new VhdExaminer(storage, options);
        var metadata = await examiner.ReadAsync(cancellationToken).ConfigureAwait(false);
        return new VhdExamination { Path = storage.Name, Findings = examiner._findings, Metadata = metadata };
    }

    private async ValueTask<VhdMetadata?> ReadAsync(CancellationToken cancellationToken)
    {
        var found = await VhdFooterFinder.FindAsync(_storage, _findings, cancellationToken).ConfigureAwait(false);
        if (found is null)
        {
            return null;
        }

        var footer = new VhdFooterView(found.Bytes).ToFooter() with { IsPoisoned = found.IsPoisoned };
        JudgeFooter(footer, found);
        var (size, rule) = VhdSizeRule.Choose(footer, _options.VhdSize);
        var metadata = new VhdMetadata
        {
            Footer = footer,
            FooterBytes = found.Bytes,
            EndFooterOffset = found.EndOffset,
            EndFooterLength = found.EndLength,
            Kind = footer.DiskType switch { VhdDiskType.Fixed => ImageKind.Fixed, VhdDiskType.Differencing => ImageKind.Differencing, _ => ImageKind.Dynamic },
            VirtualSize = JudgeSize(size, rule, footer, found.Offset),
            SizeRule = rule,
        };
        if (footer.DiskType == VhdDiskType.Fixed)
        {
            JudgeFixed(metadata, found.Offset);
            return metadata;
        }

        return footer.DiskType is VhdDiskType.Dynamic or VhdDiskType.Differencing
            ? await ReadHeaderAsync(metadata, found.Offset, cancellationToken).ConfigureAwait(false)
            : metadata;
    }

    private async ValueTask<VhdMetadata> ReadHeaderAsync(VhdMetadata metadata, long footerOffset, CancellationToken cancellationToken)
    {
        var offset = metadata.Footer.DataOffset;
        if (offset < VhdLayout.FooterSize || offset > (ulong)_storage.Length || VhdLayout.HeaderSize > _storage.Length - (long)offset)
        {
            Add(VhdFindingId.HeaderLocation, FindingSeverity.Corruption, "footer", footerOffset + 16, FindingRefusal.Corrupt,
                $"The footer says that the dynamic header lies at byte {offset}, where a file of {_storage.Length} bytes has no room for one.",
                "Compare the file's length with the original's: it may have been cut short.");
            return metadata;
        }

        var bytes = new byte[VhdLayout.HeaderSize];
        await _storage.ReadExactAsync((long)offset, bytes, "the dynamic disk header", cancellationToken).ConfigureAwait(false);
        if (!new VhdDynamicHeaderView(bytes).HasCookie)
        {
            Add(VhdFindingId.HeaderCookie, FindingSeverity.Corruption, "dynamic header", (long)offset, FindingRefusal.Corrupt,
                "The dynamic disk header does not begin with 'cxsparse': it was overwritten, or the footer leads to the wrong place.");
            return metadata;
        }

        metadata = VhdHeaderJudge.Judge(
            metadata with { Header = new VhdDynamicHeaderView(bytes).ToHeader(), HeaderOffset = (long)offset }, new VhdDynamicHeaderView(bytes), _storage.Length, _findings);
        metadata = await VhdBatmapHeaderReader.ReadAsync(_storage, metadata, _findings, cancellationToken).ConfigureAwait(false);
        return await VhdParentLocatorReader.ReadAsync(_storage, metadata, _findings, cancellationToken).ConfigureAwait(false);
    }

    private void JudgeFooter(VhdFooter footer, VhdFooterFinder found)
    {
        if (found.IsPoisoned)
        {
            Add(VhdFindingId.FooterPoisoned, FindingSeverity.Corruption, "footer", found.Offset, FindingRefusal.Unsupported,
                "The footer's cookie is 'v_poison': XenServer's libvhd disables an image so while it resizes it with a journal, and this resize was interrupted. Blocks may be in either place.",
                "Find the journal (vhd-util resize -j) and have XenServer's vhd-util revert it, or take a backup.");
        }

        if (footer.FileFormatVersion >> 16 != SupportedMajorVersion)
        {
            Add(VhdFindingId.FooterVersion, FindingSeverity.Corruption, "footer", found.Offset + 12, FindingRefusal.Unsupported,
                $"The footer's file format version is {Version(footer.FileFormatVersion)}; version 1.0 is the only one that was ever specified.",
                "Convert the image with the program that made it.");
        }

        // Bit 0 marks a temporary disk, bit 1 is always set.
        if ((footer.Features & ~1U) != 2)
        {
            Add(VhdFindingId.FooterFeatures, FindingSeverity.Note, "footer", found.Offset + 8, FindingRefusal.None,
                $"The footer's features are 0x{footer.Features:X8}; the reserved bit 0x2 should be set, and others have no meaning.");
        }

        var isBlockBased = footer.DiskType is VhdDiskType.Dynamic or VhdDiskType.Differencing;
        if (footer.DiskType != VhdDiskType.Fixed && !isBlockBased)
        {
            var meaning = (uint)footer.DiskType switch { 0 => "none", 1 or 5 or 6 => "reserved, deprecated", _ => "unknown" };
            Add(VhdFindingId.FooterDiskType, FindingSeverity.Corruption, "footer", found.Offset + 60, FindingRefusal.Unsupported,
                $"The footer's disk type is {(uint)footer.DiskType} ({meaning}); 2 (fixed), 3 (dynamic) and 4 (differencing) are handled.",
                "Convert the image with the program that made it.");
        }

        if (isBlockBased && VhdCreatorApplication.IsTapdisk(footer.CreatorApplication) && footer.CreatorVersion == VhdCreatorApplication.Tapdisk01)
        {
            Add(VhdFindingId.FooterEarlyTapdisk, FindingSeverity.Warning, "footer", found.Offset + 32, FindingRefusal.Unsupported,
                "The image was written by tapdisk 0.1, whose sector bitmaps count bits from the other end than the format says.",
                "Convert it with a XenServer release that still reads it.");
        }

        if (footer.DiskType == VhdDiskType.Fixed && footer.DataOffset is not (ulong.MaxValue or uint.MaxValue))
        {
            Add(VhdFindingId.FooterDataOffset, FindingSeverity.Note, "footer", found.Offset + 16, FindingRefusal.None,
                $"A fixed disk's data offset should be all ones; it is 0x{footer.DataOffset:X16}. Nothing uses it.");
        }

        if (footer.UniqueId == Guid.Empty)
        {
            Add(VhdFindingId.FooterUniqueId, FindingSeverity.Warning, "footer", found.Offset + VhdFooterView.UniqueIdOffset, FindingRefusal.None,
                "The footer's unique id is all zeros: no child can name this image as its parent, and XenServer refuses it.");
        }

        if (footer.SavedState)
        {
            Add(VhdFindingId.FooterSavedState, FindingSeverity.Warning, "footer", found.Offset + VhdFooterView.SavedStateOffset, FindingRefusal.None,
                "The disk belongs to a virtual machine in a saved state: its file systems are as after a power cut, and the machine's memory will contradict any change made to the disk.");
        }

        if (footer.IsHidden)
        {
            Add(VhdFindingId.FooterHidden, FindingSeverity.Note, "footer", found.Offset + VhdFooterView.HiddenOffset, FindingRefusal.None,
                "XenServer marked the image as hidden: it is an inner node of a snapshot tree, and other images depend on its content.");
        }
    }

    private long JudgeSize(ulong size, string rule, VhdFooter footer, long footerOffset)
    {
        var usable = size & ~(ulong)(VhdLayout.SectorSize - 1);
        if (usable == 0 || usable > long.MaxValue)
        {
            Add(VhdFindingId.SizeInvalid, FindingSeverity.Corruption, "footer", footerOffset + 40, FindingRefusal.Corrupt,
                $"By {rule}, the disk has {size} bytes, which no disk can have.",
                "Where the footer's other size is right, take it: --force-size=chs or --force-size=current.");
            return 0;
        }

        if (usable != size)
        {
            Add(VhdFindingId.SizeNotSectors, FindingSeverity.Warning, "footer", footerOffset + 48, FindingRefusal.None,
                $"By {rule}, the disk has {size} bytes, which is not a whole number of 512-byte sectors; the last {size - usable} are left out, as every reader does.");
        }

        if (footer.DiskType != VhdDiskType.Fixed && usable > VhdLayout.MaxDynamicSize)
        {
            Add(VhdFindingId.SizeOverLimit, FindingSeverity.Warning, "footer", footerOffset + 48, FindingRefusal.None,
                $"The disk has {usable} bytes; Hyper-V and QEMU take dynamic disks only up to 2040 GiB ({VhdLayout.MaxDynamicSize} bytes).");
        }

        var chs = (ulong)footer.Geometry.Size;
        if (chs != footer.CurrentSize && footer.Geometry != VhdGeometryCalculator.Largest && !VhdSizeRule.IsCurrentSizeForAll(footer.CreatorApplication))
        {
            Add(VhdFindingId.SizeDiffersByReader, FindingSeverity.Note, "footer", footerOffset + 48, FindingRefusal.None,
                $"Readers differ on this disk's size: its current size is {footer.CurrentSize} bytes, its geometry covers {chs}, and creator '{footer.CreatorText}' is read either way. Taken here: {rule}.");
        }

        return (long)usable;
    }

    private void JudgeFixed(VhdMetadata metadata, long footerOffset)
    {
        if (metadata.VirtualSize > footerOffset)
        {
            Add(VhdFindingId.FixedCutShort, FindingSeverity.Corruption, "fixed disk", footerOffset, FindingRefusal.Corrupt,
                $"The disk has {metadata.VirtualSize} bytes by {metadata.SizeRule}, but only {footerOffset} lie before the footer.",
                "Compare the file's length with the original's; where the footer's other size is right, take it with --force-size=chs or --force-size=current.");
        }
        else if (metadata.VirtualSize > 0 && metadata.VirtualSize < footerOffset && !_storage.Traits.IsBlockDevice)
        {
            Add(VhdFindingId.FixedSlack, FindingSeverity.Note, "fixed disk", metadata.VirtualSize, FindingRefusal.None,
                $"Between the disk's end at byte {metadata.VirtualSize} and the footer lie {footerOffset - metadata.VirtualSize} bytes that do not belong to the disk.");
        }
    }

    private void Add(string id, FindingSeverity severity, string structure, long fileOffset, FindingRefusal refusal, string message, string? nextStep = null)
    {
        var finding = new Finding(id, severity, structure, fileOffset, message) { Refusal = refusal };
        _findings.Add(nextStep is null ? finding : finding with { NextStep = nextStep });
    }

    private static string Version(uint version) => $"{version >> 16}.{version & 0xFFFF}";
}
