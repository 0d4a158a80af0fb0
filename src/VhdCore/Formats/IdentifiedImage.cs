using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Formats;

/// <summary>A storage whose format is known and whose structures have been judged usable. No layer reads it yet.</summary>
internal sealed record IdentifiedImage
{
    /// <summary>The storage; owned by whoever holds this, until a layer takes it over.</summary>
    public required IStorage Storage { get; init; }

    /// <summary>Its format.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>A VHD's structures; null for other formats.</summary>
    public VhdMetadata? Vhd { get; init; }

    /// <summary>A VHDX's structures; null for other formats.</summary>
    public VhdxMetadata? Vhdx { get; init; }

    /// <summary>What was odd so far; grows while layers are opened.</summary>
    public required ImageWarnings Warnings { get; init; }

    /// <summary>Where the parent was found, once it was.</summary>
    public string? ParentPath { get; init; }

    /// <summary>A parent's content is needed.</summary>
    public bool IsDifferencing => (Vhd?.Kind ?? Vhdx?.Kind) == ImageKind.Differencing;

    /// <summary>What children know this image by: a VHD's unique id, a VHDX's DataWriteGuid; null for a raw image.</summary>
    public Guid? Identity => Vhd?.Footer.UniqueId ?? Vhdx?.Header.DataWriteGuid;

    /// <summary>What a differencing image says of its parent; null for any other.</summary>
    public ParentReference? Parent => !IsDifferencing ? null : Vhd is { Header: { } header } vhd
        ? new ParentReference(
            [header.ParentUniqueId], [.. vhd.ParentLocators.Select(locator => locator.Name), header.ParentUnicodeName],
            vhd.HeaderOffset, vhd.HeaderOffset + VhdDynamicHeaderView.ParentUniqueIdOffset, vhd.HeaderOffset + VhdDynamicHeaderView.ParentLocatorsOffset)
        { Format = Format }
        : Vhdx?.Parent is { } locator
            ? new ParentReference(locator.Linkages, locator.Names, locator.FileOffset, locator.FileOffset, locator.FileOffset) { Format = Format } : null;

    /// <summary>Bytes in a logical sector.</summary>
    public int LogicalSectorSize => Vhdx?.LogicalSectorSize ?? VhdLayout.SectorSize;

    /// <summary>Bytes of virtual disk.</summary>
    public long VirtualSize => Vhd?.VirtualSize ?? Vhdx?.VirtualSize ?? Alignment.Up(Storage.Length, VhdLayout.SectorSize);

    /// <summary>In words for users.</summary>
    public ImageInfo Describe() => Vhd is not null ? ImageDescription.OfVhd(Storage, Vhd, ParentPath, Warnings.ToList())
        : Vhdx is not null ? VhdxDescription.Of(Storage, Vhdx, ParentPath, Warnings.ToList())
        : ImageDescription.OfRaw(Storage, Warnings.ToList());
}
