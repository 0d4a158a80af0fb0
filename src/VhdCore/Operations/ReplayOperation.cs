using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Vhdx;

namespace VhdCore.Operations;

/// <summary>Makes the changes that a VHDX's log holds in the file itself ([MS-VHDX] §2.3.3), as opening it for writing does, and nothing more.</summary>
public static class ReplayOperation
{
    /// <summary>Replays the log, durably. Parents are not looked for. An image without anything to replay stays as it is.</summary>
    /// <param name="path">The image.</param>
    /// <param name="dryRun">Only says what would be done: the file is opened for reading.</param>
    /// <param name="options">The image's format, where its bytes are not to say it, and for a dry run the locks; null finds out.</param>
    /// <param name="resolver">Turns names into storages; null takes files.</param>
    /// <param name="cancellationToken">Stops it; what is left is as after a power cut, and can be replayed again.</param>
    /// <exception cref="UnsupportedImageException">The image is no VHDX, or its state is not handled.</exception>
    /// <exception cref="CorruptImageException">The log or the tables cannot be true; nothing was changed.</exception>
    /// <exception cref="ImageInUseException">Another process has the image open.</exception>
    /// <exception cref="StorageException">The medium failed.</exception>
    public static async Task<ReplayReport> RunAsync(
        string path, bool dryRun = false, ImageOpenOptions? options = null, IStorageResolver? resolver = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options = (options ?? new ImageOpenOptions()) with { Writable = true, IgnoreBadChecksum = false };
        resolver ??= new FileStorageResolver();
        var opening = dryRun ? StorageOpenOptions.ForReading with { Sharing = options.Sharing } : StorageOpenOptions.ForWriting;
        var storage = await resolver.OpenAsync(path, opening, cancellationToken).ConfigureAwait(false);
        await using (storage.ConfigureAwait(false))
        {
            var format = options.Format ?? await FormatDetector.DetectAsync(storage, cancellationToken).ConfigureAwait(false);
            if (format != ImageFormat.Vhdx)
            {
                throw new UnsupportedImageException($"'{storage.Name}' is no VHDX: only VHDX images have a log that could be replayed.", storage.Name);
            }

            var metadata = await VhdxMetadataReader.ReadAsync(storage, options, cancellationToken).ConfigureAwait(false);
            return await ReplayAsync(storage, metadata, dryRun, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask<ReplayReport> ReplayAsync(IStorage storage, VhdxMetadata metadata, bool dryRun, CancellationToken cancellationToken)
    {
        var length = storage.Length;
        var report = new ReplayReport
        {
            Path = storage.Name,
            Format = ImageFormat.Vhdx,
            WasDirty = metadata.Replay is not null,
            IsReplayed = metadata.Replay is not null && !dryRun,
            EntryCount = metadata.Replay?.EntryCount ?? 0,
            UpdateCount = metadata.Replay?.Updates.Count ?? 0,
            LogGuid = metadata.Replay is null ? Guid.Empty : metadata.Header.LogGuid,
            FileLengthBefore = length,
            FileLengthAfter = metadata.Replay?.LengthAfter(length) ?? length,
        };
        if (report.IsReplayed)
        {
            var (headers, _) = await VhdxWriterOpener.RecoverAsync(storage, metadata, cancellationToken).ConfigureAwait(false);
            await VhdxRecovery.RepeatHeaderAsync(storage, headers, cancellationToken).ConfigureAwait(false);
        }
        else if (report.WasDirty)
        {
            // Refuses what replaying would refuse. The view is not disposed of: it would take the storage with it.
            await VhdxSpaceReader.ReadAsync(metadata.ViewOf(storage), metadata, cancellationToken).ConfigureAwait(false);
        }

        return report.IsReplayed ? report with { FileLengthAfter = storage.Length } : report;
    }
}
