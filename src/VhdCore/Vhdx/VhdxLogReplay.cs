namespace VhdCore.Vhdx;

/// <summary>What replaying a log comes to ([MS-VHDX] §2.3.3): the active sequence's updates, in their order, and the length that the file then has.</summary>
internal sealed record VhdxLogReplay
{
    /// <summary>Entries in the active sequence.</summary>
    public required int EntryCount { get; init; }

    /// <summary>The sequence number of the newest entry.</summary>
    public required ulong HeadSequenceNumber { get; init; }

    /// <summary>Bytes that the file must have had when the newest entry was written.</summary>
    public required ulong FlushedFileOffset { get; init; }

    /// <summary>Bytes that the file must have after replay.</summary>
    public required long LastFileOffset { get; init; }

    /// <summary>In the order in which they must be made: later ones win.</summary>
    public required IReadOnlyList<VhdxLogUpdate> Updates { get; init; }

    /// <summary>Entries of earlier sessions that still lie in the log, and count for nothing.</summary>
    public int StaleEntryCount { get; init; }

    /// <summary>Bytes of a file of <paramref name="fileLength"/> bytes after replay.</summary>
    public long LengthAfter(long fileLength)
    {
        var length = Math.Max(fileLength, LastFileOffset);
        foreach (var update in Updates)
        {
            length = Math.Max(length, update.End);
        }

        return length;
    }
}
