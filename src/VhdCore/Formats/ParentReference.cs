namespace VhdCore.Formats;

/// <summary>What a differencing image says of its parent, whatever its format.</summary>
/// <param name="Ids">The parent has one of these; see <see cref="IdentifiedImage.Identity"/>.</param>
/// <param name="Names">In the order to try, as they stand in the file.</param>
/// <param name="FileOffset">Bytes from the file's start to the structure that says so.</param>
/// <param name="IdOffset">Bytes from the file's start to the identifiers.</param>
/// <param name="NamesOffset">Bytes from the file's start to the names.</param>
internal sealed record ParentReference(IReadOnlyList<Guid> Ids, IReadOnlyList<string> Names, long FileOffset, long IdOffset, long NamesOffset)
{
    /// <summary>The parent's format where it is no raw file: the child's own.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>libvhd's mark of a raw parent: an identifier of zeros.</summary>
    public bool IsRaw => Format == ImageFormat.Vhd && Ids is [var id] && id == Guid.Empty;

    /// <summary>The identifiers in a sentence.</summary>
    public string IdText => Ids.Count == 0 ? "that it does not give" : string.Join(" or ", Ids);

    /// <summary>The parent in a sentence.</summary>
    public string Description => IsRaw ? "a raw file" : $"a {FormatName} with the identifier {IdText}";

    /// <summary>The format in a sentence.</summary>
    public string FormatName => Format == ImageFormat.Vhdx ? "VHDX" : "VHD";
}
