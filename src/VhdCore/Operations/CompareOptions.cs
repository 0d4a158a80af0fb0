namespace VhdCore.Operations;

/// <summary>How to compare two disks.</summary>
public sealed record CompareOptions
{
    /// <summary>Ranges in work at once; each takes 2 MiB of memory. From 1 to 64; null takes the number of cores, at most four.</summary>
    public int? Jobs { get; init; }

    /// <summary>The lengths must be equal, and so must be which runs are allocated and which are known zeros. Otherwise the longer disk's tail must be zero.</summary>
    public bool Strict { get; init; }

    /// <summary>Bytes to compare from the front; null compares everything. What lies behind counts for nothing.</summary>
    public long? Length { get; init; }
}

/// <summary>In what two disks differ.</summary>
public enum CompareDifference
{
    /// <summary>In nothing that counts.</summary>
    None,

    /// <summary>A byte.</summary>
    Content,

    /// <summary>The length, with <see cref="CompareOptions.Strict"/>.</summary>
    Length,

    /// <summary>What the tables say of a run, with <see cref="CompareOptions.Strict"/>.</summary>
    Allocation,
}

/// <summary>What a comparison found.</summary>
/// <param name="Difference">The first difference's kind.</param>
/// <param name="DifferenceOffset">Bytes from the disks' start to it; -1 where there is none, or it is the length.</param>
/// <param name="LengthsDiffer">The disks' lengths differ, which matters only with <see cref="CompareOptions.Strict"/>.</param>
public sealed record CompareResult(CompareDifference Difference, long DifferenceOffset, bool LengthsDiffer)
{
    /// <summary>No difference that counts.</summary>
    public bool AreIdentical => Difference == CompareDifference.None;
}
