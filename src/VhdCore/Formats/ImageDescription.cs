using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Vhd;

namespace VhdCore.Formats;

/// <summary>Puts what is known of an image into the words that users get.</summary>
internal static class ImageDescription
{
    /// <summary>A raw image: its length is all there is.</summary>
    public static ImageInfo OfRaw(IStorage storage, IReadOnlyList<string> warnings) => new()
    {
        Path = storage.Name,
        Format = ImageFormat.Raw,
        Kind = ImageKind.Fixed,
        VirtualSize = Alignment.Up(storage.Length, VhdLayout.SectorSize),
        FileLength = storage.Length,
        AllocatedBytes = storage.Traits.AllocatedBytes?.Invoke(),
        SizeRoundedUp = !Alignment.Is(storage.Length, VhdLayout.SectorSize),
        Warnings = warnings,
    };

    /// <summary>A VHD.</summary>
    /// <param name="storage">Its file.</param>
    /// <param name="metadata">What its structures say, judged or not.</param>
    /// <param name="parentPath">Where the parent was found; null takes the child's first name for it.</param>
    /// <param name="warnings">What is odd.</param>
    public static ImageInfo OfVhd(IStorage storage, VhdMetadata metadata, string? parentPath, IReadOnlyList<string> warnings) => new()
    {
        Path = storage.Name,
        Format = ImageFormat.Vhd,
        Kind = metadata.Kind,
        VirtualSize = metadata.VirtualSize,
        FileLength = storage.Length,
        AllocatedBytes = storage.Traits.AllocatedBytes?.Invoke(),
        BlockSize = metadata.Header is { BlockSize: <= int.MaxValue } header ? (int)header.BlockSize : null,
        UniqueId = metadata.Footer.UniqueId,
        ParentPath = metadata.Kind == ImageKind.Differencing ? parentPath ?? FirstNameOfParent(metadata) : null,
        Warnings = warnings,
        Vhd = VhdFields(metadata),
    };

    private static string? FirstNameOfParent(VhdMetadata metadata) =>
        metadata.ParentLocators.Count > 0 ? metadata.ParentLocators[0].Name
        : string.IsNullOrEmpty(metadata.Header?.ParentUnicodeName) ? null : metadata.Header.ParentUnicodeName;

    private static VhdInfo VhdFields(VhdMetadata metadata)
    {
        var footer = metadata.Footer;
        var header = metadata.Header;
        var isChild = metadata.Kind == ImageKind.Differencing && header is not null;
        return new VhdInfo
        {
            DiskType = (uint)footer.DiskType,
            CreatorApplication = footer.CreatorText,
            CreatorVersion = footer.CreatorVersion,
            CreatorHostOs = VhdText.FourCharacters(footer.CreatorHostOs),
            Timestamp = VhdTimestamp.ToTime(footer.Timestamp),
            OriginalSize = footer.OriginalSize,
            CurrentSize = footer.CurrentSize,
            Cylinders = footer.Geometry.Cylinders,
            Heads = footer.Geometry.Heads,
            SectorsPerTrack = footer.Geometry.SectorsPerTrack,
            SizeRule = metadata.SizeRule,
            UniqueId = footer.UniqueId,
            FooterSource = metadata.EndFooterOffset < 0 ? VhdFooterSource.Start
                : metadata.EndFooterLength == VhdLayout.FooterSize ? VhdFooterSource.End : VhdFooterSource.End511,
            FooterChecksumIsValid = footer.ChecksumIsValid,
            HeaderChecksumIsValid = header?.ChecksumIsValid,
            SavedState = footer.SavedState,
            IsHidden = footer.IsHidden,
            IsPoisoned = footer.IsPoisoned,
            TableOffset = header?.TableOffset,
            MaxTableEntries = header?.MaxTableEntries,
            BlockCount = header is null ? null : metadata.BlockCount,
            ParentUniqueId = isChild ? header!.ParentUniqueId : null,
            ParentTimestamp = isChild && header!.ParentTimestamp != 0 ? VhdTimestamp.ToTime(header.ParentTimestamp) : null,
            ParentUnicodeName = isChild ? header!.ParentUnicodeName : null,
            ParentLocators = [.. metadata.ParentLocators.Select(locator => new VhdParentLocatorInfo(VhdText.FourCharacters(locator.PlatformCode), locator.Name))],
            Batmap = metadata.Batmap is { } batmap ? new VhdBatmapInfo(batmap.Version, batmap.Marker, batmap.HasKeyHash) : null,
        };
    }
}
