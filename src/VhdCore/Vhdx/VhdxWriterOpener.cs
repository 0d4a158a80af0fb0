using System.Buffers.Binary;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Opens a VHDX for writing: makes durable what is read, replays the log into the file, and makes sure that no block is shared.</summary>
internal static class VhdxWriterOpener
{
    /// <summary>Opens an image whose metadata was read and judged. The storage is owned by the layer once this returns.</summary>
    /// <exception cref="ImageException">Two blocks share space, or the storage failed.</exception>
    public static async ValueTask<IWritableLayer> OpenAsync(
        IStorage storage, VhdxMetadata metadata, ImageOpenOptions options, InFlightGate gate, CancellationToken cancellationToken)
    {
        if (!Sabotage.Is(SabotagePoint.OpenBarrier))
        {
            // What is read now may sit in the page cache alone, left by a writer that was killed.
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        var headers = new VhdxHeaderUpdater(storage, metadata.Header);
        if (metadata.Replay is not null)
        {
            await ReplayAsync(storage, metadata, headers, cancellationToken).ConfigureAwait(false);
        }

        var used = await VhdxSpaceReader.ReadAsync(storage, metadata, cancellationToken).ConfigureAwait(false);
        if (metadata.Replay is not null && metadata.Kind != ImageKind.Fixed && !storage.Traits.IsBlockDevice && storage.Length > used.Map.End)
        {
            // What the session that did not end had grown the file by. The log is out of use, so that no entry misses it; and a session begins
            // with a flush, before which the file does not grow again.
            await storage.SetLengthOrThrowAsync(used.Map.End, cancellationToken).ConfigureAwait(false);
        }

        return new VhdxWriter(
            storage, metadata with { Replay = null }, headers.Current, options.TableCacheBytes, used, new SlotPool(gate), options.Identifiers ?? VhdxIdentifiers.Random());
    }

    /// <summary>Writes into the file what the log says, and takes the log out of use before anything else is written. The DataWriteGuid stays: children remain this disk's.</summary>
    private static async ValueTask ReplayAsync(IStorage storage, VhdxMetadata metadata, VhdxHeaderUpdater headers, CancellationToken cancellationToken)
    {
        await WriteHeaderAsync(storage, headers, headers.Current with { FileWriteGuid = Guid.NewGuid() }, cancellationToken).ConfigureAwait(false);
        var view = new VhdxReplayOverlay(storage, metadata.Replay!); // not disposed of: the storage is the caller's
        var buffer = GC.AllocateUninitializedArray<byte>(VhdxLayout.LogSectorSize, pinned: true);
        var length = view.Length;
        if (length > storage.Length)
        {
            await storage.SetLengthOrThrowAsync(length, cancellationToken).ConfigureAwait(false);
        }

        foreach (var update in metadata.Replay!.Updates)
        {
            if (update.IsZero)
            {
                (await StorageZeros.WriteAsync(storage, update.FileOffset, update.Length).ConfigureAwait(false)).ThrowIfFailed(storage, "replaying the log of", update.FileOffset, cancellationToken);
                continue;
            }

            await storage.ReadExactAsync(update.SourceOffset, buffer, cancellationToken).ConfigureAwait(false);
            BinaryPrimitives.WriteUInt64LittleEndian(buffer, update.LeadingBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(VhdxLayout.LogSectorSize - sizeof(uint)), update.TrailingBytes);
            await storage.WriteExactAsync(update.FileOffset, buffer, cancellationToken).ConfigureAwait(false);
        }

        if (!Sabotage.Is(SabotagePoint.ReplayBarrier))
        {
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        await WriteHeaderAsync(storage, headers, headers.Current with { LogGuid = Guid.Empty }, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask WriteHeaderAsync(IStorage storage, VhdxHeaderUpdater headers, VhdxHeader values, CancellationToken cancellationToken)
    {
        (await headers.WriteAsync(values).ConfigureAwait(false)).ThrowIfFailed(storage, "writing the header of", headers.Current.FileOffset, cancellationToken);
        if (!Sabotage.Is(SabotagePoint.HeaderBarrier))
        {
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
