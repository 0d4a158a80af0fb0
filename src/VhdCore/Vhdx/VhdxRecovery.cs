using System.Buffers.Binary;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// Brings a file into the state that writing starts from: its log replayed, both headers and both copies of the region table valid.
/// The header is written first, with a new FileWriteGuid; the DataWriteGuid stays, so that children remain this disk's ([MS-VHDX] §2.2.2 and §2.3.3).
/// </summary>
internal static class VhdxRecovery
{
    /// <summary>Does what is needed, in steps that a cut may come between. Nothing is written to a file that needs nothing.</summary>
    /// <param name="storage">The file; what was read of it is durable.</param>
    /// <param name="metadata">Judged.</param>
    /// <param name="headers">Starts with the current header.</param>
    /// <param name="usedEnd">Where everything in use ends after replay, in bytes.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="StorageException">The medium failed.</exception>
    public static async ValueTask RunAsync(IStorage storage, VhdxMetadata metadata, VhdxHeaderUpdater headers, long usedEnd, CancellationToken cancellationToken)
    {
        var hasDamagedHeader = !metadata.Headers.First.IsValid || !metadata.Headers.Second.IsValid;
        if (metadata.Replay is null && !hasDamagedHeader && metadata.DamagedRegionTableOffset is null)
        {
            return;
        }

        // The header that is not current is the one that is written: a damaged one is mended by it.
        await WriteHeaderAsync(storage, headers, headers.Current with { FileWriteGuid = Guid.NewGuid() }, cancellationToken).ConfigureAwait(false);
        if (metadata.Replay is not null)
        {
            await ReplayAsync(storage, metadata.Replay, cancellationToken).ConfigureAwait(false);
            await WriteHeaderAsync(storage, headers, headers.Current with { LogGuid = Guid.Empty }, cancellationToken).ConfigureAwait(false);
        }

        if (metadata.DamagedRegionTableOffset is { } damaged)
        {
            await MendRegionTableAsync(storage, damaged, cancellationToken).ConfigureAwait(false);
        }

        if (metadata.Replay is not null && metadata.Kind != ImageKind.Fixed && !storage.Traits.IsBlockDevice && storage.Length > usedEnd)
        {
            // What the session that did not end had grown the file by. The log is out of use, so that no entry misses it; and a session begins
            // with a flush, before which the file does not grow again.
            await storage.SetLengthOrThrowAsync(usedEnd, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Writes the current header again, so that the other one says the same, and makes it durable.</summary>
    public static ValueTask RepeatHeaderAsync(IStorage storage, VhdxHeaderUpdater headers, CancellationToken cancellationToken) =>
        WriteHeaderAsync(storage, headers, headers.Current, cancellationToken);

    /// <summary>Writes into the file what the log says, and makes it durable. Each byte is written once: where updates lie over each other, what the last one says.</summary>
    private static async ValueTask ReplayAsync(IStorage storage, VhdxLogReplay replay, CancellationToken cancellationToken)
    {
        var oldLength = storage.Length;
        var newLength = replay.LengthAfter(oldLength);
        if (newLength > oldLength)
        {
            await storage.SetLengthOrThrowAsync(newLength, cancellationToken).ConfigureAwait(false);
        }

        var knownZero = storage.Traits.ExtensionReadsZeros ? oldLength : long.MaxValue; // from here on
        var buffer = GC.AllocateUninitializedArray<byte>(VhdxLayout.LogSectorSize, pinned: true);
        foreach (var (start, end, update) in new VhdxReplayMap(replay.Updates).Runs)
        {
            if (update.IsZero)
            {
                var length = Math.Min(end, knownZero) - start;
                if (length > 0)
                {
                    (await StorageZeros.WriteAsync(storage, start, length).ConfigureAwait(false)).ThrowIfFailed(storage, "replaying the log of", start, cancellationToken);
                }

                continue;
            }

            await storage.ReadExactAsync(update.SourceOffset, buffer, cancellationToken).ConfigureAwait(false);
            BinaryPrimitives.WriteUInt64LittleEndian(buffer, update.LeadingBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(VhdxLayout.LogSectorSize - sizeof(uint)), update.TrailingBytes);
            await storage.WriteExactAsync(start, buffer, cancellationToken).ConfigureAwait(false);
        }

        if (!Sabotage.Is(SabotagePoint.ReplayBarrier))
        {
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask MendRegionTableAsync(IStorage storage, long damaged, CancellationToken cancellationToken)
    {
        var good = damaged == VhdxLayout.FirstRegionTableOffset ? VhdxLayout.SecondRegionTableOffset : VhdxLayout.FirstRegionTableOffset;
        var table = GC.AllocateUninitializedArray<byte>(VhdxRegionTableView.Size, pinned: true);
        await storage.ReadExactAsync(good, table, cancellationToken).ConfigureAwait(false);
        await storage.WriteExactAsync(damaged, table, cancellationToken).ConfigureAwait(false);
        await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
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
