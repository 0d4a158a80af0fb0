using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Opens a VHDX for writing: makes durable what is read, makes sure that no block is shared, and only then replays the log into the file.</summary>
internal static class VhdxWriterOpener
{
    /// <summary>Opens an image whose metadata was read and judged. The storage is owned by the layer once this returns.</summary>
    /// <exception cref="ImageException">The BAT cannot be true, in which case the file is as it was, or the storage failed.</exception>
    public static async ValueTask<IWritableLayer> OpenAsync(
        IStorage storage, VhdxMetadata metadata, ImageOpenOptions options, InFlightGate gate, CancellationToken cancellationToken)
    {
        var (headers, used) = await RecoverAsync(storage, metadata, cancellationToken).ConfigureAwait(false);
        return new VhdxWriter(
            storage, metadata with { Replay = null }, headers.Current, options.TableCacheBytes, used, new SlotPool(gate), options.Identifiers ?? VhdxIdentifiers.Random());
    }

    /// <summary>Brings the file into the state that writing starts from.</summary>
    /// <exception cref="ImageException">The BAT cannot be true, in which case the file is as it was, or the storage failed.</exception>
    public static async ValueTask<(VhdxHeaderUpdater Headers, VhdxUsedSpace Used)> RecoverAsync(IStorage storage, VhdxMetadata metadata, CancellationToken cancellationToken)
    {
        if (!Sabotage.Is(SabotagePoint.OpenBarrier))
        {
            // What is read now may sit in the page cache alone, left by a writer that was killed.
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        // The view is not disposed of: the storage is the caller's.
        var used = await VhdxSpaceReader.ReadAsync(metadata.ViewOf(storage), metadata, cancellationToken).ConfigureAwait(false);
        var headers = new VhdxHeaderUpdater(storage, metadata.Header);
        await VhdxRecovery.RunAsync(storage, metadata, headers, used.Map.End, cancellationToken).ConfigureAwait(false);
        return (headers, used);
    }
}
