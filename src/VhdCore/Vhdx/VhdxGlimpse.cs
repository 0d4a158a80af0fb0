using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// What can be told of an image that is refused, without judging: as many structures as can be reached. What depends on a log that cannot be replayed may be old.
/// </summary>
internal sealed record VhdxGlimpse
{
    /// <summary>As the file's maker named itself.</summary>
    public required string Creator { get; init; }

    /// <summary>Both headers.</summary>
    public required VhdxHeaderPair Headers { get; init; }

    /// <summary>What a replay would come to; null where there is nothing to replay, or no way to do it.</summary>
    public VhdxLogReplay? Replay { get; init; }

    /// <summary>What disk it is; null where the structures do not say.</summary>
    public VhdxMetadata? Metadata { get; init; }

    /// <summary>Looks at an image; null when it is no VHDX at all. Writes nothing.</summary>
    /// <exception cref="StorageException">The medium failed.</exception>
    public static async ValueTask<VhdxGlimpse?> TakeAsync(IStorage storage, CancellationToken cancellationToken)
    {
        if (storage.Length < VhdxLayout.SecondHeaderOffset + VhdxHeaderView.Size)
        {
            return null;
        }

        var bytes = new byte[VhdxFileTypeIdentifierView.Size];
        await storage.ReadExactAsync(0, bytes, "the file type identifier", cancellationToken).ConfigureAwait(false);
        var creator = new VhdxFileTypeIdentifierView(bytes).Creator;
        if (!new VhdxFileTypeIdentifierView(bytes).HasSignature)
        {
            return null;
        }

        var headers = await VhdxHeaderFinder.FindAsync(storage, Unheard(), cancellationToken).ConfigureAwait(false);
        var glimpse = new VhdxGlimpse { Creator = creator, Headers = headers };
        if (headers.Current is not { } header || storage.Length < VhdxLayout.HeaderSectionSize)
        {
            return glimpse;
        }

        var replay = await VhdxLogReader.ReadAsync(storage, header, Unheard(), cancellationToken).ConfigureAwait(false);
        return glimpse with { Replay = replay, Metadata = await ReadMetadataAsync(storage, glimpse with { Replay = replay }, header, cancellationToken).ConfigureAwait(false) };
    }

    private static async ValueTask<VhdxMetadata?> ReadMetadataAsync(IStorage storage, VhdxGlimpse glimpse, VhdxHeader header, CancellationToken cancellationToken)
    {
        var findings = Unheard();
        var view = glimpse.Replay is null ? storage : new VhdxReplayOverlay(storage, glimpse.Replay); // not disposed of: the storage is the caller's
        var table = await VhdxRegionReader.ReadAsync(view, header, findings, cancellationToken).ConfigureAwait(false);
        return table is null || !findings.CanGoOn ? null
            : await VhdxItemReader.ReadAsync(view, VhdxExaminer.Draft(glimpse.Creator, glimpse.Headers, glimpse.Replay, table), findings, cancellationToken).ConfigureAwait(false);
    }

    // Opening the image says what is to be thought of it.
    private static FindingList Unheard() => new() { IsLenient = true };
}
