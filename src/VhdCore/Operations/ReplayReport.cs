using VhdCore.Formats;

namespace VhdCore.Operations;

/// <summary>What replaying an image's log came to.</summary>
public sealed record ReplayReport
{
    /// <summary>The image.</summary>
    public required string Path { get; init; }

    /// <summary>Its format.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>The image had not been closed properly: its log held changes.</summary>
    public required bool WasDirty { get; init; }

    /// <summary>The file was changed: false where there was nothing to replay, and where only a report was asked for.</summary>
    public required bool IsReplayed { get; init; }

    /// <summary>Entries of the log that count, the empty ones included.</summary>
    public int EntryCount { get; init; }

    /// <summary>Updates in these entries, each of 4 KiB or a run of zeros.</summary>
    public int UpdateCount { get; init; }

    /// <summary>The log's identifier; all zeros where there was nothing to replay.</summary>
    public Guid LogGuid { get; init; }

    /// <summary>Bytes in the file before.</summary>
    public required long FileLengthBefore { get; init; }

    /// <summary>Bytes in the file after; where only a report was asked for, at most what it would have.</summary>
    public required long FileLengthAfter { get; init; }
}
