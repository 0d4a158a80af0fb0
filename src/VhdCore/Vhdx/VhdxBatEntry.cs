namespace VhdCore.Vhdx;

/// <summary>What a payload block's entry says ([MS-VHDX] §2.5.1.1).</summary>
internal enum PayloadBlockState
{
    /// <summary>Not here: the parent's content, or zeros where there is no parent.</summary>
    NotPresent = 0,

    /// <summary>Any content will do; zeros here.</summary>
    Undefined = 1,

    /// <summary>Zeros.</summary>
    Zero = 2,

    /// <summary>Given back by the guest: zeros here, never the parent's content.</summary>
    Unmapped = 3,

    /// <summary>Reserved: not possible.</summary>
    Reserved = 4,

    /// <summary>What <see cref="Unmapped"/> was in drafts of the format; read, never written.</summary>
    UnmappedInDrafts = 5,

    /// <summary>All sectors are in the file.</summary>
    FullyPresent = 6,

    /// <summary>The sector bitmap says which sectors are in the file; only in differencing disks.</summary>
    PartiallyPresent = 7,
}

/// <summary>What a sector bitmap block's entry says ([MS-VHDX] §2.5.1.2).</summary>
internal enum SectorBitmapBlockState
{
    /// <summary>There is none.</summary>
    NotPresent = 0,

    /// <summary>It is in the file.</summary>
    Present = 6,
}

/// <summary>An entry of the BAT: the state in bits 0 to 2, FileOffsetMB in bits 20 to 63 ([MS-VHDX] §2.5.1).</summary>
/// <param name="Raw">As it stands in the file.</param>
internal readonly record struct VhdxBatEntry(ulong Raw)
{
    private const ulong OffsetMask = ~0xF_FFFFUL;

    public PayloadBlockState PayloadState => (PayloadBlockState)(Raw & 7);

    public SectorBitmapBlockState BitmapState => (SectorBitmapBlockState)(Raw & 7);

    /// <summary>Bytes from the file's start. FileOffsetMB counts MiB, so masking is the conversion.</summary>
    public ulong FileOffset => Raw & OffsetMask;

    /// <summary>The bits that must be zero.</summary>
    public ulong Reserved => Raw & ~(OffsetMask | 7);

    /// <summary>Whatever block the entry is of, nothing is read from the file for it: only other states can be impossible.</summary>
    public bool IsHarmless => PayloadState is not (PayloadBlockState.Reserved or PayloadBlockState.FullyPresent or PayloadBlockState.PartiallyPresent);

    /// <summary>The entry's block is read from the file.</summary>
    public bool IsInFile => PayloadState is PayloadBlockState.FullyPresent or PayloadBlockState.PartiallyPresent;
}
