using System.Buffers.Binary;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Opens a VHDX for writing: makes durable what is read, replays the log into the file, and makes sure that no block is shared.</summary>
internal static class VhdxWriterOpener
{
    private const int ChunkSize = 1 << 20; // bytes of the BAT read at a time
    private const int MaxHoles = 64 << 10; // remembered at once
    private const int MaxCheckedPlaces = 8 << 20; // kept for the overlap test: 192 MiB

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

        var places = await ReadPlacesAsync(storage, metadata, cancellationToken).ConfigureAwait(false);
        var end = places.Count == 0 ? 0 : places[^1].End;
        if (end > storage.Length)
        {
            // Some programs leave the last block short; what it lacks reads as zeros, and is made so before anything can be put there.
            await storage.SetLengthOrThrowAsync(Alignment.Up(end, VhdxLayout.StructureAlignment), cancellationToken).ConfigureAwait(false);
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        var pool = new SlotPool(gate);
        AddHoles(metadata, places, pool);
        return new VhdxWriter(storage, metadata with { Replay = null }, headers.Current, options.TableCacheBytes, pool, options.Identifiers ?? VhdxIdentifiers.Random());
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

    /// <summary>Where the blocks lie, by offset, none over another.</summary>
    private static async ValueTask<List<Place>> ReadPlacesAsync(IStorage storage, VhdxMetadata metadata, CancellationToken cancellationToken)
    {
        var layout = metadata.BatLayout;
        var count = Math.Min(metadata.BatRegion.Length / VhdxLayout.BatEntrySize, layout.EntryCount);
        var validator = new VhdxEntryValidator(metadata, storage.Length);
        var places = new List<Place>();
        var bytes = new byte[ChunkSize];
        for (long first = 0; first < count && places.Count <= MaxCheckedPlaces; first += ChunkSize / VhdxLayout.BatEntrySize)
        {
            var entries = (int)Math.Min(ChunkSize / VhdxLayout.BatEntrySize, count - first);
            await storage.ReadExactAsync(
                (long)metadata.BatRegion.FileOffset + (first * VhdxLayout.BatEntrySize), bytes.AsMemory(0, entries * VhdxLayout.BatEntrySize), cancellationToken).ConfigureAwait(false);
            if (!bytes.AsSpan(0, entries * VhdxLayout.BatEntrySize).ContainsAnyExcept((byte)0))
            {
                continue; // as most of a large disk's table is
            }

            for (var i = 0; i < entries; i++)
            {
                Add(new VhdxBatEntry(BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(i * VhdxLayout.BatEntrySize))), first + i);
            }
        }

        if (places.Count > MaxCheckedPlaces)
        {
            throw new UnsupportedImageException(
                $"'{storage.Name}': more than {MaxCheckedPlaces} blocks have a place in the file, and so many cannot be checked before writing. Convert the disk into an image with larger blocks.",
                storage.Name, (long)metadata.BatRegion.FileOffset);
        }

        places.Sort((a, b) => a.Start.CompareTo(b.Start));
        for (var i = 1; i < places.Count; i++)
        {
            if (places[i].Start < places[i - 1].End)
            {
                throw new CorruptImageException(
                    $"'{storage.Name}': entries {places[i - 1].Index} and {places[i].Index} of the BAT share the file's bytes from {places[i].Start} on: at least one is damaged, and writing would destroy the other's content. " +
                    "Convert what can be read into a new image.",
                    storage.Name, (long)metadata.BatRegion.FileOffset + (places[i].Index * VhdxLayout.BatEntrySize));
            }
        }

        return places;

        void Add(VhdxBatEntry entry, long index)
        {
            if (!validator.IsPossible(index, entry, storage.Length))
            {
                throw new CorruptImageException(
                    $"'{storage.Name}': entry {index} of the BAT is 0x{entry.Raw:X16}, which points outside the file, into its metadata, or has an impossible state. Its block cannot be read, and writing could destroy others. " +
                    "Convert what can be read into a new image.",
                    storage.Name, (long)metadata.BatRegion.FileOffset + (index * VhdxLayout.BatEntrySize));
            }

            var isPayload = layout.IsPayload(index, out var number);
            var size = isPayload ? metadata.BlockSize : VhdxLayout.SectorBitmapBlockSize;
            var place = new Place((long)entry.FileOffset, (long)entry.FileOffset + size, index);
            if (isPayload ? entry.IsInFile && number < layout.PayloadBlockCount : metadata.HasParent && entry.BitmapState == SectorBitmapBlockState.Present)
            {
                places.Add(place);
            }
            else if (isPayload && number < layout.PayloadBlockCount && place.Start >= VhdxLayout.HeaderSectionSize && place.Start <= storage.Length - size)
            {
                places.Add(place); // given back by the guest, but still that block's own to take again: no other may have it
            }
        }
    }

    /// <summary>Places between blocks that an earlier session left unused. What they hold is unknown.</summary>
    private static void AddHoles(VhdxMetadata metadata, List<Place> places, SlotPool pool)
    {
        var count = 0;
        for (var i = 1; i < places.Count; i++)
        {
            for (var start = places[i - 1].End; places[i].Start - start >= metadata.BlockSize && count < MaxHoles; start += metadata.BlockSize)
            {
                if (IsFree(metadata, start))
                {
                    pool.AddUnformatted(start);
                    count++;
                }
            }
        }
    }

    // Regions may lie anywhere, unknown ones too; so may the log.
    private static bool IsFree(VhdxMetadata metadata, long start) =>
        !Overlaps(start, metadata.Header.LogOffset, metadata.Header.LogLength, metadata.BlockSize)
        && metadata.Regions.All(region => !Overlaps(start, region.FileOffset, region.Length, metadata.BlockSize));

    private static bool Overlaps(long start, ulong otherStart, uint otherLength, uint length) =>
        (ulong)start < otherStart + otherLength && otherStart < (ulong)start + length;

    private readonly record struct Place(long Start, long End, long Index);
}
