namespace VhdCore.Operations;

/// <summary>How to copy one disk's content to another.</summary>
public sealed record ConvertOptions
{
    /// <summary>Ranges in work at once; each takes 1 MiB of memory. From 1 to 64; null takes the number of cores, at most four.</summary>
    public int? Jobs { get; init; }

    /// <summary>
    /// Bytes of zeros, aligned to as many, that are left out of what is written; a power of two from 512 bytes to 1 MiB. 0 writes zeros out as well, known ones
    /// included, so that the target takes its full space.
    /// </summary>
    public int SparseSize { get; init; } = 4096;

    /// <summary>The target reads as zeros from end to end, so zeros need not be written. True of a new image.</summary>
    public bool TargetIsZero { get; init; }

    /// <summary>
    /// Writes in rising order. Reads run ahead all the same. An image that allocates space as it is written then comes out the same every time; false is for
    /// targets whose layout does not depend on the order.
    /// </summary>
    public bool WriteInOrder { get; init; } = true;

    /// <summary>
    /// Lets a new target share the source's bytes on file systems that can (XFS with reflink, Btrfs), or has a file server copy them, instead of reading and writing
    /// them. What is shared is not looked through for zeros. Only where <see cref="TargetIsZero"/> and zeros are left out.
    /// </summary>
    public bool AllowCloning { get; init; } = true;

    /// <summary>Reads the target again when it is written, and compares.</summary>
    public bool Verify { get; init; }
}

/// <summary>What a copy came to.</summary>
/// <param name="BytesRead">Bytes read from the source.</param>
/// <param name="BytesWritten">Bytes written to the target.</param>
/// <param name="BytesZero">Bytes that are zero and were not written: left as they were in a target of zeros, or zeroed without sending zeros.</param>
public sealed record ConvertResult(long BytesRead, long BytesWritten, long BytesZero)
{
    /// <summary>Bytes that the target shares with the source's files, or that a file server copied.</summary>
    public long BytesCloned { get; init; }
}
