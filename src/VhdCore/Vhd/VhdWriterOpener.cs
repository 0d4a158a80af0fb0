using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>Opens a VHD for writing: makes durable what is read, puts the footers right, finds the free space.</summary>
internal static class VhdWriterOpener
{
    private const int MaxHoles = 64 << 10; // remembered at once; more are found by the next opening

    public static async ValueTask<IWritableLayer> OpenAsync(
        IStorage storage, VhdMetadata metadata, ImageOpenOptions options, InFlightGate gate, CancellationToken cancellationToken)
    {
        if (!Sabotage.Is(SabotagePoint.OpenBarrier))
        {
            // What is read now may sit in the page cache alone, left by a writer that was killed.
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        if (metadata.Kind == ImageKind.Fixed)
        {
            return new FlatLayer(storage, metadata.VirtualSize);
        }

        var table = await VhdBlockTable.LoadAsync(
            storage, metadata, metadata.DataEnd(storage.Length), options.TableCacheBytes, isWritable: true, cancellationToken).ConfigureAwait(false);
        var endOfData = EndOfData(metadata, table, storage.Length, wholeBlocks: false);
        var footerOffset = await PlaceFootersAsync(storage, metadata, endOfData, cancellationToken).ConfigureAwait(false);
        var pool = new SlotPool(gate);

        // On a block device, what lies behind the data is VhdSpace's to extend into: it must not be a hole as well.
        AddHoles(metadata, table, storage.Length, storage.Traits.IsBlockDevice ? endOfData : footerOffset, pool);
        var space = new VhdSpace(storage, table, pool, metadata.FooterBytes.ToArray(), footerOffset, endOfData);
        return new VhdWriter(new VhdWriterParts(storage, metadata, table, pool, space, options.TableCacheBytes, ShortEntry(metadata, table, space.DataEnd)));
    }

    private static uint ShortEntry(VhdMetadata metadata, VhdBlockTable table, long dataEnd)
    {
        var entries = table.Entries;
        var last = entries[^1];
        if (last == VhdLayout.UnusedEntry || metadata.UsedBlockSize(entries.Length - 1) == table.BlockSize)
        {
            return VhdLayout.UnusedEntry;
        }

        var start = (long)last * VhdLayout.SectorSize;
        var next = Math.Min(dataEnd, Math.Min(After(metadata.HeaderOffset), After((long)metadata.Header!.TableOffset)));
        foreach (var entry in entries)
        {
            next = entry == VhdLayout.UnusedEntry ? next : Math.Min(next, After((long)entry * VhdLayout.SectorSize));
        }

        return table.StorageOffset(last, table.BlockSize) <= next ? VhdLayout.UnusedEntry : last;

        long After(long offset) => offset > start ? offset : long.MaxValue;
    }

    /// <summary>Where the last structure or block ends, in bytes.</summary>
    /// <param name="metadata">Of the image.</param>
    /// <param name="table">Its table.</param>
    /// <param name="fileLength">Bytes of the file.</param>
    /// <param name="wholeBlocks">Count a last block that the disk does not fill as whole, as it is written here; otherwise only what the disk has of it.</param>
    public static long EndOfData(VhdMetadata metadata, VhdBlockTable table, long fileLength, bool wholeBlocks)
    {
        var end = EndOfMetadata(metadata, fileLength);
        var entries = table.Entries;
        for (var block = 0; block < entries.Length; block++)
        {
            if (entries[block] != VhdLayout.UnusedEntry)
            {
                end = Math.Max(end, table.StorageOffset(entries[block], wholeBlocks ? table.BlockSize : metadata.UsedBlockSize(block)));
            }
        }

        return end;
    }

    /// <summary>Where the last of header, table, batmap and locators ends, in bytes. Space that an image claims behind its own end is not believed.</summary>
    private static long EndOfMetadata(VhdMetadata metadata, long fileLength)
    {
        var header = metadata.Header!;
        var dataEnd = Alignment.Up(metadata.DataEnd(fileLength), VhdLayout.SectorSize);
        var end = Math.Max(
            metadata.HeaderOffset + VhdLayout.HeaderSize,
            (long)header.TableOffset + Alignment.Up((long)header.MaxTableEntries * VhdLayout.BatEntrySize, VhdLayout.SectorSize));
        if (metadata.Batmap is { } batmap)
        {
            end = Math.Max(end, metadata.BatmapHeaderOffset + VhdLayout.SectorSize);
            end = Math.Max(end, Math.Min(dataEnd, (long)Math.Min(batmap.MapOffset, long.MaxValue / 2) + ((long)batmap.MapSectorCount * VhdLayout.SectorSize)));
        }

        foreach (var locator in header.ParentLocators)
        {
            if (locator.PlatformCode != 0 && locator.PlatformDataOffset < long.MaxValue / 2)
            {
                // Windows and libvhd give the space in bytes, the specification and xapi in sectors.
                var space = locator.PlatformDataSpace < VhdLayout.SectorSize
                    ? (long)locator.PlatformDataSpace * VhdLayout.SectorSize
                    : locator.PlatformDataSpace;
                var locatorEnd = Alignment.Up((long)locator.PlatformDataOffset + Math.Max(space, locator.PlatformDataLength), VhdLayout.SectorSize);
                end = Math.Max(end, Math.Min(dataEnd, locatorEnd));
            }
        }

        return end;
    }

    /// <summary>Makes the end footer stand behind all data, and the copy at 0 agree with it.</summary>
    /// <returns>Where the end footer lies, in bytes.</returns>
    private static async ValueTask<long> PlaceFootersAsync(IStorage storage, VhdMetadata metadata, long endOfData, CancellationToken cancellationToken)
    {
        var footer = metadata.FooterBytes;
        var footerOffset = metadata.EndFooterOffset;
        if (storage.Traits.IsBlockDevice)
        {
            footerOffset = Alignment.Down(storage.Length, VhdLayout.SectorSize) - VhdLayout.FooterSize;
            if (footerOffset < endOfData)
            {
                throw new UnsupportedImageException(
                    $"'{storage.Name}': a block or structure reaches to byte {endOfData}, over the device's last sector at byte {footerOffset}, where the footer must stand. " +
                    "The image was made for a larger device and can only be read here: convert it into a new one.",
                    storage.Name, footerOffset);
            }
        }
        else if (footerOffset < 0 || footerOffset < endOfData)
        {
            footerOffset = Math.Max(endOfData, footerOffset < 0 ? Alignment.Up(storage.Length, VhdLayout.SectorSize) : 0);
        }

        var copy = new byte[VhdLayout.FooterSize];
        await storage.ReadExactAsync(0, copy, cancellationToken).ConfigureAwait(false);
        if (!copy.AsSpan().SequenceEqual(footer.Span))
        {
            await storage.WriteExactAsync(0, footer, cancellationToken).ConfigureAwait(false);
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        if (metadata.EndFooterOffset >= 0 && metadata.EndFooterOffset < endOfData)
        {
            // The last block is cut short by the footer. Its tail reads as zeros as long as that is the footer, so it must be zeros before another place is:
            // in between, the copy at 0 serves.
            await storage.WriteExactAsync(metadata.EndFooterOffset, new byte[VhdLayout.FooterSize], cancellationToken).ConfigureAwait(false);
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        if (footerOffset != metadata.EndFooterOffset || metadata.EndFooterLength != VhdLayout.FooterSize)
        {
            await storage.WriteExactAsync(footerOffset, footer, cancellationToken).ConfigureAwait(false);
            await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        return footerOffset;
    }

    /// <summary>Places between blocks, and between the last one and <paramref name="end"/>, that an earlier session left unused. What they hold is unknown.</summary>
    private static void AddHoles(VhdMetadata metadata, VhdBlockTable table, long fileLength, long end, SlotPool pool)
    {
        var used = table.Entries.ToArray();
        Array.Sort(used); // unused entries are the largest number, and come last
        var from = EndOfMetadata(metadata, fileLength);
        var count = 0;
        foreach (var entry in used.TakeWhile(entry => entry != VhdLayout.UnusedEntry))
        {
            AddHole(from, (long)entry * VhdLayout.SectorSize);
            from = Math.Max(from, table.StorageOffset(entry, table.BlockSize));
        }

        AddHole(from, end);

        void AddHole(long start, long limit)
        {
            while (count < MaxHoles)
            {
                var data = Alignment.Up(start + table.BitmapSize, VhdLayout.DataAlignment);
                if (data + table.BlockSize > limit)
                {
                    return;
                }

                pool.AddUnformatted(data - table.BitmapSize);
                count++;
                start = data + table.BlockSize;
            }
        }
    }
}
