using System.Diagnostics;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;

namespace VhdCore.Vhdx;

/// <summary>Changes the BAT and the sector bitmaps in memory, and notes which pages a commit must write.</summary>
/// <remarks>
/// Readers take no lock, so the order counts: a slice of a bitmap is cleared, and the bitmap's own entry set, before the entry that makes a block partially
/// present; a bit is set when its sector's payload has landed.
/// </remarks>
internal sealed class VhdxWriterTable(VhdxBlockTable blocks, VhdxMetadata metadata, VhdxDirtyPages dirty)
{
    private readonly VhdxBatLayout _layout = metadata.BatLayout;
    private readonly int _sectorSize = metadata.LogicalSectorSize;
    private readonly long _blockSize = metadata.BlockSize;

    /// <summary>Guards every change.</summary>
    public Lock Lock { get; } = new();

    public VhdxBlockTable Blocks => blocks;

    private int SectorsPerBlock => (int)(_blockSize / _sectorSize);

    /// <summary>A payload block's entry; null while its page is not in memory.</summary>
    public VhdxBatEntry? EntryOf(long block) => blocks.TryGetEntry(_layout.PayloadIndex(block), out var entry) ? entry : null;

    /// <summary>Reads the pages that resolving or writing at an offset needs.</summary>
    public async ValueTask<BlockStatus> LoadAsync(long diskOffset, CancellationToken cancellationToken)
    {
        var status = await blocks.LoadAsync(diskOffset, cancellationToken).ConfigureAwait(false);
        var block = diskOffset / _blockSize;
        if (status != BlockStatus.Ok || !metadata.HasParent || EntryOf(block) is not { PayloadState: PayloadBlockState.NotPresent })
        {
            return status;
        }

        // A write would make it partially present: its slice of the bitmap is cleared then.
        var chunk = _layout.ChunkOf(block);
        status = await blocks.LoadEntryAsync(_layout.BitmapIndex(chunk), cancellationToken).ConfigureAwait(false);
        for (var (page, last) = SlicePages(block); page <= last && status == BlockStatus.Ok; page++)
        {
            if (!blocks.TryGetEntry(_layout.BitmapIndex(chunk), out var bitmap) || bitmap.BitmapState != SectorBitmapBlockState.Present)
            {
                break; // there is none yet, or its page was dropped from memory and is asked for again
            }

            status = await blocks.LoadBitmapPageAsync(chunk, page, (long)bitmap.FileOffset, cancellationToken).ConfigureAwait(false);
        }

        return status;
    }

    /// <summary>The page of the sector bitmap for an offset; null while it is not in memory.</summary>
    public VhdxTablePage? BitmapPageOf(long diskOffset) =>
        blocks.FindBitmapPage(_layout.ChunkOf(diskOffset / _blockSize), SectorInChunk(diskOffset) / VhdxTablePage.BitCount);

    /// <summary>Bytes of disk from an offset to where the next page of the sector bitmap takes over.</summary>
    public long BytesInBitmapPage(long diskOffset)
    {
        var perPage = (long)VhdxTablePage.BitCount * _sectorSize;
        return perPage - (diskOffset % perPage);
    }

    /// <summary>Whether all sectors that a range touches, inside one page of the bitmap, are present.</summary>
    public bool AreBitsSet(VhdxTablePage page, long diskOffset, long length)
    {
        var (first, count) = BitsOf(diskOffset, length);
        return page.AreSet(first, count);
    }

    /// <summary>Whether the file holds every sector that a range inside a block touches, as far as is known in memory.</summary>
    public bool AreAllPresent(long diskOffset, long length) => EntryOf(diskOffset / _blockSize) switch
    {
        { PayloadState: PayloadBlockState.FullyPresent } => true,
        { PayloadState: PayloadBlockState.PartiallyPresent } => length <= BytesInBitmapPage(diskOffset)
            && BitmapPageOf(diskOffset) is { } page && AreBitsSet(page, diskOffset, length),
        _ => false,
    };

    /// <summary>Whether the pages that make a range reachable are in the log at least. Under <see cref="Lock"/>.</summary>
    public bool IsCommitted(long diskOffset, long length)
    {
        Debug.Assert(length <= _blockSize);
        var block = diskOffset / _blockSize;
        return blocks.FindEntryPage(_layout.PayloadIndex(block)) is { } page && dirty.IsCommitted(page)
            && (EntryOf(block) is { PayloadState: PayloadBlockState.FullyPresent }
                || (BitmapPageOf(diskOffset) is { } bitmap && dirty.IsCommitted(bitmap)
                    && blocks.FindEntryPage(_layout.BitmapIndex(_layout.ChunkOf(block))) is { } bitmapEntry && dirty.IsCommitted(bitmapEntry)));
    }

    /// <summary>What releasing the part of a range that lies in its first block comes to, where the block's entry can stay.</summary>
    /// <param name="diskOffset">Where the range begins.</param>
    /// <param name="length">Bytes; more than the block where more reads the same.</param>
    /// <param name="isTrim">Any content will do afterwards; otherwise zeros.</param>
    /// <param name="entry">The block's.</param>
    /// <returns>Null where the whole block becomes unmapped or zero.</returns>
    public ReleaseExtent? JudgeRelease(long diskOffset, long length, bool isTrim, VhdxBatEntry entry)
    {
        var inBlock = diskOffset % _blockSize;
        var run = Math.Min(length, _blockSize - inBlock);
        var isWhole = inBlock == 0 && run >= Math.Min(_blockSize, metadata.VirtualSize - diskOffset);
        switch (entry.PayloadState)
        {
            case PayloadBlockState.FullyPresent when metadata.Kind == ImageKind.Fixed:
                return new ReleaseExtent(ReleaseKind.Punch, run, (long)entry.FileOffset + inBlock);

            case PayloadBlockState.FullyPresent or PayloadBlockState.PartiallyPresent when !isWhole:
            case PayloadBlockState.NotPresent when metadata.HasParent && !isWhole:
                return new ReleaseExtent(ReleaseKind.Keep, run, 0);

            case PayloadBlockState.Undefined or PayloadBlockState.Unmapped or PayloadBlockState.UnmappedInDrafts when !isTrim:
                return null; // zeros here, but other programs may show what was there before

            case PayloadBlockState.NotPresent when !metadata.HasParent:
            case PayloadBlockState.Zero or PayloadBlockState.Undefined or PayloadBlockState.Unmapped or PayloadBlockState.UnmappedInDrafts:
                var absent = isTrim || entry.PayloadState == PayloadBlockState.NotPresent ? blocks.Resolve(diskOffset, length) : default;
                return new ReleaseExtent(ReleaseKind.Released, absent.Kind == ExtentKind.Zero ? Math.Max(run, absent.Length) : run, 0);

            case PayloadBlockState.Reserved:
                return new ReleaseExtent(ReleaseKind.Keep, run, 0); // nobody knows what is there

            default:
                return null;
        }
    }

    /// <summary>Sets a payload block's entry. Under <see cref="Lock"/>.</summary>
    /// <param name="block">The block.</param>
    /// <param name="page">The page that its entry was read from.</param>
    /// <param name="state">Its new state.</param>
    /// <param name="fileOffset">Its new place in bytes; 0 for none.</param>
    public void SetEntry(long block, VhdxTablePage page, PayloadBlockState state, long fileOffset) =>
        Set(_layout.PayloadIndex(block), page, new VhdxBatEntry((ulong)fileOffset | (ulong)state));

    /// <summary>Replaces a payload block's entry that was read without the lock. Under <see cref="Lock"/>.</summary>
    /// <param name="block">The block.</param>
    /// <param name="known">The entry that the change was decided by.</param>
    /// <param name="state">Its new state.</param>
    /// <param name="fileOffset">Its new place in bytes; 0 for none.</param>
    /// <returns>False if the entry is another by now, or its page is not in memory; nothing is done then.</returns>
    public bool TryReplaceEntry(long block, VhdxBatEntry known, PayloadBlockState state, long fileOffset)
    {
        if (EntryPageOf(block) is not { } page || EntryIn(page, block) != known)
        {
            return false;
        }

        SetEntry(block, page, state, fileOffset);
        return true;
    }

    /// <summary>The page of a payload block's entry; null while it is not in memory.</summary>
    public VhdxTablePage? EntryPageOf(long block) => blocks.FindEntryPage(_layout.PayloadIndex(block));

    /// <summary>A payload block's entry in its page.</summary>
    public VhdxBatEntry EntryIn(VhdxTablePage page, long block) => page.Entry((int)(_layout.PayloadIndex(block) % VhdxTablePage.EntryCount));

    /// <summary>Clears a block's slice of the sector bitmap, which may hold bits of an earlier life, and makes the bitmap block if there is none. Under <see cref="Lock"/>.</summary>
    /// <returns>What stands in the way; null when it is done.</returns>
    public WriteExtentKind? PrepareSlice(long block, VhdxSpace space)
    {
        var chunk = _layout.ChunkOf(block);
        var bitmapIndex = _layout.BitmapIndex(chunk);
        if (blocks.FindEntryPage(bitmapIndex) is not { } entryPage || !blocks.TryGetEntry(bitmapIndex, out var bitmap))
        {
            return WriteExtentKind.NotLoaded;
        }

        var isNew = bitmap.BitmapState != SectorBitmapBlockState.Present;
        var (first, last) = SlicePages(block);
        var pages = new VhdxTablePage?[last - first + 1];
        for (var i = 0; i < pages.Length && !isNew; i++)
        {
            if ((pages[i] = blocks.FindBitmapPage(chunk, first + i)) is null)
            {
                return WriteExtentKind.NotLoaded;
            }
        }

        if (isNew)
        {
            if (!space.TryTakeBitmapBlock(out var place))
            {
                return WriteExtentKind.NeedsSpace;
            }

            if (!place.IsDurable)
            {
                dirty.NeedsBarrier();
            }

            bitmap = new VhdxBatEntry((ulong)place.Offset | (ulong)SectorBitmapBlockState.Present);
            Set(bitmapIndex, entryPage, bitmap);
        }

        var firstBit = (int)(block % _layout.ChunkRatio) * SectorsPerBlock;
        for (var i = 0; i < pages.Length; i++)
        {
            // A new bitmap block reads as zeros, its pages too.
            var known = pages[i] ?? VhdxTablePage.CreateEmptyBitmap((long)bitmap.FileOffset + ((long)(first + i) * VhdxTablePage.Size));
            var page = blocks.PinBitmapPage(chunk, first + i, known);
            var inPage = firstBit - ((first + i) * VhdxTablePage.BitCount);
            var start = Math.Max(inPage, 0);
            if (!Sabotage.Is(SabotagePoint.ClearedBits))
            {
                page.Clear(start, Math.Min(inPage + SectorsPerBlock, VhdxTablePage.BitCount) - start);
            }

            dirty.Add(page);
        }

        return null;
    }

    /// <summary>Marks the sectors of a range present: their payload has landed. Under <see cref="Lock"/>.</summary>
    /// <param name="diskOffset">Where the range begins, in a partially present block.</param>
    /// <param name="length">Bytes, whole sectors, inside one page of the bitmap.</param>
    /// <returns>False while that page is not in memory; nothing is done then.</returns>
    public bool TrySetBits(long diskOffset, long length)
    {
        if (BitmapPageOf(diskOffset) is not { } known)
        {
            return false;
        }

        var (first, count) = BitsOf(diskOffset, length);
        var page = blocks.PinBitmapPage(_layout.ChunkOf(diskOffset / _blockSize), SectorInChunk(diskOffset) / VhdxTablePage.BitCount, known);
        dirty.Add(page);
        if (!Sabotage.Is(SabotagePoint.BitBarrier))
        {
            dirty.NeedsBarrier();
        }

        page.Set(first, count);
        return true;
    }

    /// <summary>Makes a partially present block fully present if all its sectors are, as far as is known in memory. Under <see cref="Lock"/>.</summary>
    public void PromoteIfWhole(long block)
    {
        if (EntryPageOf(block) is not { } page || EntryIn(page, block) is not { PayloadState: PayloadBlockState.PartiallyPresent } entry)
        {
            return;
        }

        // From its end, where a block that is being filled from the front has nothing yet.
        var chunk = _layout.ChunkOf(block);
        var start = (int)(block % _layout.ChunkRatio) * SectorsPerBlock;
        var end = start + (int)Math.Min(SectorsPerBlock, (metadata.VirtualSize - (block * _blockSize)) / _sectorSize);
        while (end > start)
        {
            var pageInChunk = (end - 1) / VhdxTablePage.BitCount;
            var from = Math.Max(start, pageInChunk * VhdxTablePage.BitCount);
            var first = from % VhdxTablePage.BitCount;
            if (blocks.FindBitmapPage(chunk, pageInChunk) is not { } bits || !bits.AreSet((end - 1) % VhdxTablePage.BitCount, 1) || !bits.AreSet(first, end - from))
            {
                return;
            }

            end = from;
        }

        SetEntry(block, page, PayloadBlockState.FullyPresent, (long)entry.FileOffset);
    }

    private void Set(long index, VhdxTablePage known, VhdxBatEntry entry)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        var page = blocks.PinEntryPage(index, known);
        dirty.Add(page);
        page.SetEntry((int)(index % VhdxTablePage.EntryCount), entry);
    }

    private int SectorInChunk(long diskOffset) => (int)(diskOffset / _sectorSize % VhdxLayout.SectorsPerChunk);

    private (int First, int Count) BitsOf(long diskOffset, long length)
    {
        var first = SectorInChunk(diskOffset) % VhdxTablePage.BitCount;
        var last = (int)((diskOffset + length - 1) / _sectorSize % VhdxTablePage.BitCount);
        return (first, last - first + 1);
    }

    /// <summary>The pages of its chunk's bitmap that a block's slice lies in.</summary>
    private (int First, int Last) SlicePages(long block)
    {
        var first = (int)(block % _layout.ChunkRatio) * SectorsPerBlock;
        return (first / VhdxTablePage.BitCount, (first + SectorsPerBlock - 1) / VhdxTablePage.BitCount);
    }
}
