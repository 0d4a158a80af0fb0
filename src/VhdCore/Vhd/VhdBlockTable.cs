using System.Buffers.Binary;
using System.Diagnostics;
using System.Numerics;
using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>
/// The block allocation table and the sector bitmaps of a dynamic or differencing disk: where each sector lies. The table is resident; bitmaps are read
/// when they are first needed, and kept within a bound.
/// </summary>
/// <remarks>
/// Resolving takes no lock. A new block's bitmap is published before its table entry, and a reader looks at the entry, the bitmap and the entry again:
/// if the entry is the same both times the bitmap is its own, because a freed place is not used again while a reader that saw it is in flight.
/// </remarks>
internal sealed class VhdBlockTable
{
    private const int ChunkSize = 1024; // bitmaps in a chunk of the directory

    private readonly IStorage _storage;
    private readonly uint[] _entries;
    private readonly VhdSectorBitmap?[]?[] _chunks;
    private readonly int _blockShift;
    private readonly long _length;
    private readonly ExtentKind _absent;
    private readonly long _dataEnd;
    private readonly long _cacheLimit;
    private long _cacheSize; // bytes of loaded bitmaps, guarded by Lock
    private int _evictionHand; // chunk to look at next, guarded by Lock

    private VhdBlockTable(IStorage storage, VhdMetadata metadata, uint[] entries, long dataEnd, long cacheLimit)
    {
        _storage = storage;
        _entries = entries;
        _chunks = new VhdSectorBitmap?[]?[((entries.Length - 1) / ChunkSize) + 1];
        TableOffset = (long)metadata.Header!.TableOffset;
        BlockSize = (int)metadata.Header.BlockSize;
        BitmapSize = VhdLayout.BitmapSize(BlockSize);
        _blockShift = BitOperations.Log2((uint)BlockSize);
        _length = metadata.VirtualSize;
        IsDifferencing = metadata.Kind == Formats.ImageKind.Differencing;
        _absent = IsDifferencing ? ExtentKind.Parent : ExtentKind.Zero;
        _dataEnd = dataEnd;
        _cacheLimit = cacheLimit;
    }

    /// <summary>Guards every change of the table and the bitmaps.</summary>
    public Lock Lock { get; } = new();

    /// <summary>Bytes from the file's start to the table.</summary>
    public long TableOffset { get; }

    /// <summary>Bytes in a block, without its bitmap.</summary>
    public int BlockSize { get; }

    /// <summary>Bytes that a block's bitmap takes in the file.</summary>
    public int BitmapSize { get; }

    public bool IsDifferencing { get; }

    public int BlockCount => _entries.Length;

    /// <summary>The entries, for scans while nobody writes.</summary>
    public ReadOnlySpan<uint> Entries => _entries;

    private int SectorsPerBlock => BlockSize / VhdLayout.SectorSize;

    /// <summary>Reads and checks the table.</summary>
    /// <param name="storage">The image.</param>
    /// <param name="metadata">Of a dynamic or differencing disk.</param>
    /// <param name="dataEnd">Bytes of the file that may hold blocks; what a last block lacks behind it reads as zeros.</param>
    /// <param name="cacheLimit">Bytes of bitmaps to keep.</param>
    /// <param name="isWritable">The file will be extended over all that blocks lack, and grow.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="CorruptImageException">An entry points outside the file, into the metadata or at another block.</exception>
    public static async ValueTask<VhdBlockTable> LoadAsync(
        IStorage storage, VhdMetadata metadata, long dataEnd, long cacheLimit, bool isWritable, CancellationToken cancellationToken)
    {
        var bytes = GC.AllocateUninitializedArray<byte>(metadata.BlockCount * VhdLayout.BatEntrySize, pinned: true);
        await storage.ReadExactAsync((long)metadata.Header!.TableOffset, bytes, cancellationToken).ConfigureAwait(false);
        var entries = ParseEntries(bytes, metadata.BlockCount);
        if (VhdBatValidator.FirstProblem(entries, metadata, storage.Length, isWritable) is { } problem)
        {
            throw new CorruptImageException(
                $"'{storage.Name}': {problem.Describe(metadata, storage.Length)} Run 'vhdkit check' to see all that is wrong.", storage.Name, problem.EntryOffset(metadata));
        }

        return new VhdBlockTable(storage, metadata, entries, isWritable ? long.MaxValue : dataEnd, cacheLimit);
    }

    /// <summary>The block that holds a disk offset.</summary>
    public int BlockOf(long diskOffset) => (int)(diskOffset >> _blockShift);

    /// <summary>A block's entry now: a sector number, or <see cref="VhdLayout.UnusedEntry"/>.</summary>
    public uint EntryOf(int block) => Volatile.Read(ref _entries[block]);

    /// <summary>The bitmap in memory, if there is one.</summary>
    public VhdSectorBitmap? BitmapOf(int block)
    {
        var chunk = Volatile.Read(ref _chunks[block / ChunkSize]);
        return chunk is null ? null : Volatile.Read(ref chunk[block % ChunkSize]);
    }

    /// <summary>Bytes from the file's start to the byte of a block at <paramref name="inBlock"/>.</summary>
    public long StorageOffset(uint entry, int inBlock) => ((long)entry * VhdLayout.SectorSize) + BitmapSize + inBlock;

    /// <summary>See <see cref="IImageLayer.Resolve"/>.</summary>
    public DiskExtent Resolve(long diskOffset, long length)
    {
        var block = BlockOf(diskOffset);
        var inBlock = (int)(diskOffset & (BlockSize - 1));
        var run = Math.Min(length, BlockSize - inBlock);
        while (true)
        {
            var entry = EntryOf(block);
            if (entry == VhdLayout.UnusedEntry)
            {
                return new DiskExtent(_absent, UnusedRun(block, run, length), 0, IsAllocated: false);
            }

            var bitmap = BitmapOf(block);
            if (bitmap is null)
            {
                return new DiskExtent(ExtentKind.NotLoaded, run, 0, IsAllocated: true);
            }

            var isPresent = true;
            if (!bitmap.IsFull)
            {
                var sector = inBlock / VhdLayout.SectorSize;
                var sectors = bitmap.RunLength(sector, SectorsPerBlock - sector, out isPresent);
                run = Math.Min(run, ((long)sectors * VhdLayout.SectorSize) - (inBlock % VhdLayout.SectorSize));
            }

            if (EntryOf(block) != entry)
            {
                run = Math.Min(length, BlockSize - inBlock);
                continue; // freed or moved meanwhile: the bitmap may be another's
            }

            if (!isPresent)
            {
                return new DiskExtent(_absent, run, 0, IsAllocated: false);
            }

            var offset = StorageOffset(entry, inBlock);
            return offset < _dataEnd
                ? new DiskExtent(ExtentKind.Data, Math.Min(run, _dataEnd - offset), offset, IsAllocated: true)
                : new DiskExtent(ExtentKind.Zero, run, 0, IsAllocated: true);
        }
    }

    /// <summary>See <see cref="IImageLayer.LoadAsync"/>.</summary>
    public async ValueTask<BlockStatus> LoadBitmapAsync(long diskOffset, CancellationToken cancellationToken)
    {
        var block = BlockOf(diskOffset);
        var entry = EntryOf(block);
        if (entry == VhdLayout.UnusedEntry || BitmapOf(block) is not null)
        {
            return BlockStatus.Ok;
        }

        using var buffer = PooledBuffer.Rent(BitmapSize);
        var offset = (long)entry * VhdLayout.SectorSize;
        var status = await _storage.ReadAsync(offset, buffer.Buffers, 0, BitmapSize, cancellationToken).ConfigureAwait(false);
        if (status != BlockStatus.Ok)
        {
            return status == BlockStatus.OutOfRange ? BlockStatus.IoError : status;
        }

        var bitmap = VhdSectorBitmap.Parse(buffer.Span[..BitmapSize], SectorsPerBlock);
        lock (Lock)
        {
            if (_entries[block] == entry && BitmapOf(block) is null)
            {
                PublishBitmap(block, bitmap);
                Evict(keep: block);
            }
        }

        return BlockStatus.Ok;
    }

    /// <summary>Gives a block its place: the bitmap first, then the entry. Under <see cref="Lock"/>.</summary>
    public void Publish(int block, uint entry, VhdSectorBitmap bitmap)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        Debug.Assert(_entries[block] == VhdLayout.UnusedEntry);
        PublishBitmap(block, bitmap);
        Volatile.Write(ref _entries[block], entry);
    }

    /// <summary>Takes a block's place away and forgets its bitmap. Under <see cref="Lock"/>.</summary>
    public void Unpublish(int block)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        Volatile.Write(ref _entries[block], VhdLayout.UnusedEntry);
        Interlocked.MemoryBarrier(); // the entry is gone before its place is tagged with an epoch
        PublishBitmap(block, null);
    }

    /// <summary>The bitmap to set bits in: <paramref name="resolved"/>, put back if it was dropped from memory meanwhile. Under <see cref="Lock"/>.</summary>
    public VhdSectorBitmap Current(int block, VhdSectorBitmap resolved)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        var current = BitmapOf(block);
        if (current is null)
        {
            // Only unchanged bitmaps are dropped, so this one still says what the file says.
            PublishBitmap(block, current = resolved);
        }

        return current;
    }

    /// <summary>Copies the entries of one sector of the table as they stand in the file; behind the last block is 0xFF. Under <see cref="Lock"/>.</summary>
    public void CopyTableSector(int tableSector, Span<byte> destination)
    {
        const int EntriesPerSector = VhdLayout.SectorSize / VhdLayout.BatEntrySize;
        for (var i = 0; i < EntriesPerSector; i++)
        {
            var block = (tableSector * EntriesPerSector) + i;
            BinaryPrimitives.WriteUInt32BigEndian(destination[(i * VhdLayout.BatEntrySize)..], block < _entries.Length ? _entries[block] : VhdLayout.UnusedEntry);
        }
    }

    /// <summary>Drops unchanged bitmaps until the bound is met. Under <see cref="Lock"/>.</summary>
    public void Evict(int keep = -1)
    {
        for (var i = 0; _cacheSize > _cacheLimit && i < _chunks.Length; i++)
        {
            var chunk = _chunks[_evictionHand];
            for (var j = 0; chunk is not null && j < chunk.Length; j++)
            {
                if (chunk[j] is { IsPinned: false } bitmap && !ReferenceEquals(bitmap, VhdSectorBitmap.Full) && (_evictionHand * ChunkSize) + j != keep)
                {
                    PublishBitmap((_evictionHand * ChunkSize) + j, null);
                }
            }

            _evictionHand = (_evictionHand + 1) % _chunks.Length;
        }
    }

    private static uint[] ParseEntries(ReadOnlySpan<byte> bytes, int count)
    {
        var entries = new uint[count];
        for (var i = 0; i < entries.Length; i++)
        {
            entries[i] = BinaryPrimitives.ReadUInt32BigEndian(bytes[(i * VhdLayout.BatEntrySize)..]);
        }

        return entries;
    }

    private long UnusedRun(int block, long run, long length)
    {
        while (run < length && EntryOf(++block) == VhdLayout.UnusedEntry)
        {
            run = Math.Min(length, run + BlockSize);
        }

        return run;
    }

    private void PublishBitmap(int block, VhdSectorBitmap? bitmap)
    {
        ref var chunk = ref _chunks[block / ChunkSize];
        if (chunk is null)
        {
            if (bitmap is null)
            {
                return;
            }

            Volatile.Write(ref chunk, new VhdSectorBitmap?[ChunkSize]);
        }

        ref var slot = ref chunk[block % ChunkSize];
        _cacheSize += SizeOf(bitmap) - SizeOf(slot);
        Volatile.Write(ref slot, bitmap);

        static int SizeOf(VhdSectorBitmap? bitmap) => bitmap is null || ReferenceEquals(bitmap, VhdSectorBitmap.Full) ? 0 : bitmap.MemorySize;
    }
}
