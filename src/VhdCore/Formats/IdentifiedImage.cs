using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Vhd;

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

    /// <summary>What was odd so far; grows while layers are opened.</summary>
    public required ImageWarnings Warnings { get; init; }

    /// <summary>Where the parent was found, once it was.</summary>
    public string? ParentPath { get; init; }

    /// <summary>A parent's content is needed.</summary>
    public bool IsDifferencing => Vhd?.Kind == ImageKind.Differencing;

    /// <summary>Bytes of virtual disk.</summary>
    public long VirtualSize => Vhd?.VirtualSize ?? Alignment.Up(Storage.Length, VhdLayout.SectorSize);

    /// <summary>In words for users.</summary>
    public ImageInfo Describe() => Vhd is null
        ? ImageDescription.OfRaw(Storage, Warnings.ToList())
        : ImageDescription.OfVhd(Storage, Vhd, ParentPath, Warnings.ToList());
}
