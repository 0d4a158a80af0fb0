using System.Numerics;
using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// The BAT and the sector bitmaps: where each sector lies. Pages of 4 KiB are read when they are first needed and kept within a bound, so that neither
/// opening nor memory depends on the disk's size.
/// </summary>
/// <remarks>
/// Resolving takes no lock. Of a partially present block, a reader looks at the entry, the bitmap and the entry again: the answer holds if the entry is
/// the same both times.
/// </remarks>
internal sealed class VhdxBlockTable
{
    private const long MinCacheLimit = 256 << 10; // bytes: several requests at once need three pages each
    private const int BitmapPagesPerChunk = VhdxLayout.SectorBitmapBlockSize / VhdxTablePage.Size;

    private static readonly VhdxBatEntry Impossible = new((ulong)PayloadBlockState.Reserved);

    private readonly IStorage _view;
    private readonly VhdxBatLayout _layout;
    private readonly VhdxEntryValidator _validator;
    private readonly VhdxPageCache _pages;
    private readonly long _batOffset;
    private readonly long _batRegionLength;
    private readonly long _entryCount;
    private readonly long _batPageCount;
    private readonly int _blockShift;
    private readonly int _sectorShift;
    private readonly ExtentKind _absent;
    private readonly bool _mayChange;
    private long _dataEnd;

    /// <summary>Reads nothing yet.</summary>
    /// <param name="view">The file as it is after replay.</param>
    /// <param name="metadata">Judged.</param>
    /// <param name="dataEnd">Bytes of the file that may hold blocks; what a last block lacks behind it reads as zeros.</param>
    /// <param name="cacheLimit">Bytes of pages to keep; less than 256 KiB counts as that.</param>
    /// <param name="mayChange">The image is open for writing.</param>
    public VhdxBlockTable(IStorage view, VhdxMetadata metadata, long dataEnd, long cacheLimit, bool mayChange)
    {
        _view = view;
        _mayChange = mayChange;
        _layout = metadata.BatLayout;
        _validator = new VhdxEntryValidator(metadata, view.Length);
        _batOffset = (long)metadata.BatRegion.FileOffset;
        _batRegionLength = metadata.BatRegion.Length;
        _entryCount = Math.Min(_batRegionLength / VhdxLayout.BatEntrySize, _layout.EntryCount);
        _batPageCount = PageOf(_entryCount - 1) + 1;
        _blockShift = BitOperations.Log2(metadata.BlockSize);
        _sectorShift = BitOperations.Log2((uint)metadata.LogicalSectorSize);
        _absent = metadata.HasParent ? ExtentKind.Parent : ExtentKind.Zero;
        _dataEnd = dataEnd;
        var bitmapPageCount = metadata.HasParent ? _layout.ChunkCount * BitmapPagesPerChunk : 0;
        _pages = new VhdxPageCache(_batPageCount + bitmapPageCount, Math.Max(cacheLimit, MinCacheLimit));
    }

    /// <summary>Bytes in a payload block.</summary>
    public long BlockSize => 1L << _blockShift;

    /// <summary>Bytes of memory that pages take now.</summary>
    public long CacheSize => _pages.MemorySize;

    /// <summary>The file holds every block as a whole from now on.</summary>
    public void AreBlocksWhole() => Volatile.Write(ref _dataEnd, long.MaxValue);

    /// <summary>Lets pages go that stand in the file as they are in memory.</summary>
    public void Unpin(IEnumerable<VhdxTablePage> pages) => _pages.Unpin(pages);

    /// <summary>See <see cref="IImageLayer.Resolve"/>.</summary>
    public DiskExtent Resolve(long diskOffset, long length)
    {
        var block = diskOffset >> _blockShift;
        var inBlock = diskOffset & (BlockSize - 1);
        var run = Math.Min(length, BlockSize - inBlock);
        var index = _layout.PayloadIndex(block);
        while (true)
        {
            if (!TryGetEntry(index, out var entry))
            {
                return new DiskExtent(ExtentKind.NotLoaded, run, 0, IsAllocated: true);
            }

            switch (entry.PayloadState)
            {
                case PayloadBlockState.NotPresent:
                    return new DiskExtent(_absent, ExtendRun(block, run, length, isAbsent: true), 0, IsAllocated: false);

                case PayloadBlockState.Undefined or PayloadBlockState.Zero or PayloadBlockState.Unmapped or PayloadBlockState.UnmappedInDrafts:
                    return new DiskExtent(ExtentKind.Zero, ExtendRun(block, run, length, isAbsent: false), 0, IsAllocated: true);

                case PayloadBlockState.FullyPresent:
                    return Data(entry, inBlock, run);

                case PayloadBlockState.PartiallyPresent:
                    var extent = ResolveByBitmap(diskOffset, inBlock, run, entry);
                    if (!_mayChange || extent.Kind is ExtentKind.NotLoaded || (TryGetEntry(index, out var again) && again == entry))
                    {
                        return extent;
                    }

                    break; // changed meanwhile, or dropped from memory

                default:
                    return new DiskExtent(ExtentKind.Corrupt, run, 0, IsAllocated: true);
            }
        }
    }

    /// <summary>See <see cref="IImageLayer.LoadAsync"/>.</summary>
    public async ValueTask<BlockStatus> LoadAsync(long diskOffset, CancellationToken cancellationToken)
    {
        var block = diskOffset >> _blockShift;
        var index = _layout.PayloadIndex(block);
        var status = await LoadEntryAsync(index, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok || !TryGetEntry(index, out var entry) || entry.PayloadState != PayloadBlockState.PartiallyPresent)
        {
            return status;
        }

        var chunk = _layout.ChunkOf(block);
        var bitmapIndex = _layout.BitmapIndex(chunk);
        if (!IsInTable(bitmapIndex))
        {
            return BlockStatus.Ok; // resolving says what is wrong
        }

        status = await LoadEntryAsync(bitmapIndex, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok || !TryGetEntry(bitmapIndex, out var bitmap) || bitmap.BitmapState != SectorBitmapBlockState.Present)
        {
            return status;
        }

        var pageInChunk = SectorInChunk(diskOffset) / VhdxTablePage.BitCount;
        return await LoadBitmapPageAsync(chunk, pageInChunk, (long)bitmap.FileOffset, cancellationToken).ConfigureAwait(false);
    }

    private DiskExtent ResolveByBitmap(long diskOffset, long inBlock, long run, VhdxBatEntry entry)
    {
        var chunk = _layout.ChunkOf(diskOffset >> _blockShift);
        var bitmapIndex = _layout.BitmapIndex(chunk);
        var bitmap = Impossible;
        if (IsInTable(bitmapIndex) && !TryGetEntry(bitmapIndex, out bitmap))
        {
            return new DiskExtent(ExtentKind.NotLoaded, run, 0, IsAllocated: true);
        }

        if (bitmap.BitmapState != SectorBitmapBlockState.Present)
        {
            return new DiskExtent(ExtentKind.Corrupt, run, 0, IsAllocated: true);
        }

        var sector = SectorInChunk(diskOffset);
        if (_pages.Find(BitmapPage(chunk, sector / VhdxTablePage.BitCount)) is not { } page)
        {
            return new DiskExtent(ExtentKind.NotLoaded, run, 0, IsAllocated: true);
        }

        var bit = sector % VhdxTablePage.BitCount;
        var inSector = diskOffset & ((1L << _sectorShift) - 1);
        var limit = (int)Math.Min(VhdxTablePage.BitCount - bit, ((inSector + run - 1) >> _sectorShift) + 1);
        var sectors = page.RunLength(bit, limit, out var isPresent);
        run = Math.Min(run, ((long)sectors << _sectorShift) - inSector);
        return isPresent ? Data(entry, inBlock, run) : new DiskExtent(ExtentKind.Parent, run, 0, IsAllocated: false);
    }

    private DiskExtent Data(VhdxBatEntry entry, long inBlock, long run)
    {
        var offset = (long)entry.FileOffset + inBlock;
        var end = Volatile.Read(ref _dataEnd);
        return offset < end
            ? new DiskExtent(ExtentKind.Data, Math.Min(run, end - offset), offset, IsAllocated: true)
            : new DiskExtent(ExtentKind.Zero, run, 0, IsAllocated: true);
    }

    /// <summary>Goes on over the blocks behind that read alike, as far as the page of the BAT reaches.</summary>
    private long ExtendRun(long block, long run, long length, bool isAbsent)
    {
        var page = PageOf(_layout.PayloadIndex(block));
        while (run < length && _layout.PayloadIndex(++block) is var index && PageOf(index) == page && TryGetEntry(index, out var entry)
            && entry.IsHarmless && entry.PayloadState == PayloadBlockState.NotPresent == isAbsent)
        {
            run = Math.Min(length, run + BlockSize);
        }

        return run;
    }

    private static long PageOf(long index) => index / VhdxTablePage.EntryCount;

    private long BitmapPage(long chunk, int pageInChunk) => _batPageCount + (chunk * BitmapPagesPerChunk) + pageInChunk;

    private int SectorInChunk(long diskOffset) => (int)((diskOffset >> _sectorShift) & (VhdxLayout.SectorsPerChunk - 1));

    private bool IsInTable(long index) => index < _entryCount;

    /// <summary>An entry of the BAT, as a reserved one if it cannot be true; false while its page is not in memory.</summary>
    public bool TryGetEntry(long index, out VhdxBatEntry entry)
    {
        if (_pages.Find(PageOf(index)) is not { } page)
        {
            entry = default;
            return false;
        }

        entry = page.Entry((int)(index % VhdxTablePage.EntryCount));
        if (!page.IsSound && !_validator.IsPossible(index, entry, _view.Length))
        {
            entry = Impossible;
        }

        return true;
    }

    /// <summary>Reads the page of the BAT that has an entry, unless it is in memory.</summary>
    public ValueTask<BlockStatus> LoadEntryAsync(long index, CancellationToken cancellationToken)
    {
        var page = PageOf(index);
        var offset = page * VhdxTablePage.Size;
        return LoadPageAsync(page, _batOffset + offset, (int)Math.Min(VhdxTablePage.Size, _batRegionLength - offset), page * VhdxTablePage.EntryCount, cancellationToken);
    }

    /// <summary>Reads a page of a chunk's sector bitmap, unless it is in memory.</summary>
    public ValueTask<BlockStatus> LoadBitmapPageAsync(long chunk, int pageInChunk, long bitmapOffset, CancellationToken cancellationToken) =>
        LoadPageAsync(BitmapPage(chunk, pageInChunk), bitmapOffset + ((long)pageInChunk * VhdxTablePage.Size), VhdxTablePage.Size, firstEntry: -1, cancellationToken);

    /// <summary>The page of the BAT that has an entry, if it is in memory.</summary>
    public VhdxTablePage? FindEntryPage(long index) => _pages.Find(PageOf(index));

    /// <summary>A page of a chunk's sector bitmap, if it is in memory.</summary>
    public VhdxTablePage? FindBitmapPage(long chunk, int pageInChunk) => _pages.Find(BitmapPage(chunk, pageInChunk));

    /// <summary>Keeps the page of the BAT that has an entry in memory, for changing it.</summary>
    /// <param name="index">The entry.</param>
    /// <param name="known">The page as it was found: put back if it was dropped since.</param>
    /// <returns>The page to change.</returns>
    public VhdxTablePage PinEntryPage(long index, VhdxTablePage known) => _pages.Pin(PageOf(index), known);

    /// <inheritdoc cref="PinEntryPage"/>
    /// <summary>Keeps a page of a chunk's sector bitmap in memory, for changing it.</summary>
    public VhdxTablePage PinBitmapPage(long chunk, int pageInChunk, VhdxTablePage known) => _pages.Pin(BitmapPage(chunk, pageInChunk), known);

    /// <summary>Reads a page unless it is in memory.</summary>
    /// <param name="number">The page's.</param>
    /// <param name="fileOffset">Bytes from the file's start to it.</param>
    /// <param name="size">Bytes to read; the rest is zero.</param>
    /// <param name="firstEntry">The first entry of the BAT in it; -1 for a page of a sector bitmap.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    private async ValueTask<BlockStatus> LoadPageAsync(long number, long fileOffset, int size, long firstEntry, CancellationToken cancellationToken)
    {
        while (_pages.Find(number) is null)
        {
            var version = _pages.Version;
            using var buffer = PooledBuffer.Rent(VhdxTablePage.Size);
            var status = await _view.ReadAsync(fileOffset, buffer.Buffers, 0, size, cancellationToken).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return status == BlockStatus.OutOfRange ? BlockStatus.IoError : status;
            }

            var page = VhdxTablePage.Parse(buffer.Span[..size], fileOffset, isBitmap: firstEntry < 0);
            page.IsSound = firstEntry < 0 || IsSound(page, firstEntry);
            if (_pages.TryAdd(number, page, version))
            {
                break;
            }
        }

        return BlockStatus.Ok;
    }

    private bool IsSound(VhdxTablePage page, long firstEntry)
    {
        var fileLength = _view.Length;
        var count = (int)Math.Min(VhdxTablePage.EntryCount, _entryCount - firstEntry);
        for (var i = 0; i < count; i++)
        {
            var entry = page.Entry(i);
            if (!entry.IsHarmless && !_validator.IsPossible(firstEntry + i, entry, fileLength))
            {
                return false;
            }
        }

        return true;
    }
}
