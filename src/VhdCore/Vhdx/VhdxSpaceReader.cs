using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Which parts of a file are in use, by its BAT as it is in the file; and whether nothing is in use twice.</summary>
/// <remarks>Reads the whole table, but no holes in it: a new image of 64 TiB in blocks of 1 MiB has 512 MiB of them.</remarks>
internal sealed class VhdxSpaceReader
{
    private const int PartSize = 1 << 20; // bytes of the BAT read at a time
    private const int EntriesPerPart = PartSize / VhdxLayout.BatEntrySize;

    private readonly IStorage _storage;
    private readonly VhdxMetadata _metadata;
    private readonly VhdxBatLayout _layout;
    private readonly VhdxEntryValidator _validator;
    private readonly VhdxSpaceMap _map = new();
    private readonly byte[] _part = new byte[PartSize];
    private readonly long _entryCount;
    private readonly long _fileLength;
    private readonly long _batOffset;
    private long _partialBlock = -1; // partially present, and its chunk's bitmap was not met yet

    private VhdxSpaceReader(IStorage storage, VhdxMetadata metadata)
    {
        _storage = storage;
        _metadata = metadata;
        _layout = metadata.BatLayout;
        _fileLength = storage.Length;
        _validator = new VhdxEntryValidator(metadata, _fileLength);
        _batOffset = (long)metadata.BatRegion.FileOffset;
        _entryCount = Math.Min(metadata.BatRegion.Length / VhdxLayout.BatEntrySize, _layout.EntryCount);
    }

    /// <summary>Reads the table.</summary>
    /// <param name="storage">The file as it is after replay.</param>
    /// <param name="metadata">Judged.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="CorruptImageException">An entry cannot be true, or two share space: writing would destroy content.</exception>
    public static async ValueTask<VhdxUsedSpace> ReadAsync(IStorage storage, VhdxMetadata metadata, CancellationToken cancellationToken)
    {
        if (storage.Length > VhdxLayout.MaxFileLength && !storage.Traits.IsBlockDevice)
        {
            throw new UnsupportedImageException(
                $"'{storage.Name}' has {storage.Length} bytes, far more than the largest disk needs, and is not written to. Convert it into a new image.", storage.Name);
        }

        var reader = new VhdxSpaceReader(storage, metadata);
        return await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<VhdxUsedSpace> ReadAsync(CancellationToken cancellationToken)
    {
        _map.Mark(0, VhdxLayout.HeaderSectionSize);
        MarkIfInside((long)_metadata.Header.LogOffset, _metadata.Header.LogLength);
        foreach (var region in _metadata.Regions)
        {
            MarkIfInside((long)region.FileOffset, region.Length);
        }

        var hasAnchors = false;
        long lastPlace = -1;
        for (long first = 0; first < _entryCount; first += EntriesPerPart)
        {
            var count = await ReadPartAsync(first, cancellationToken).ConfigureAwait(false);
            for (var i = NextEntry(0, count); i < count; i = NextEntry(i + 1, count))
            {
                if (MarkRun(i, count, first) is > 0 and var run)
                {
                    i += run - 1;
                    continue;
                }

                var entry = EntryAt(i);
                switch (Judge(entry, first + i))
                {
                    case Verdict.Shared:
                        throw await SharedAsync(entry, first + i, cancellationToken).ConfigureAwait(false);

                    case Verdict.Anchor:
                        hasAnchors = true;
                        break;

                    case Verdict.UsedInPart:
                        lastPlace = (long)entry.FileOffset;
                        break;
                }
            }
        }

        ThrowIfPartial();

        // A block that the guest gave back may take its place again, if another program writes the file next: no other gets it.
        for (long first = 0; hasAnchors && first < _entryCount; first += EntriesPerPart)
        {
            var count = await ReadPartAsync(first, cancellationToken).ConfigureAwait(false);
            for (var i = NextEntry(0, count); i < count; i = NextEntry(i + 1, count))
            {
                if (_layout.IsPayload(first + i, out var block) && block < _layout.PayloadBlockCount && IsAnchor(EntryAt(i)))
                {
                    _map.Mark((long)EntryAt(i).FileOffset, _metadata.BlockSize);
                }
            }
        }

        // The last block has a whole place where nothing else is in the way.
        var used = _validator.UsedSize(_layout.PayloadBlockCount - 1);
        return new VhdxUsedSpace(_map, lastPlace >= 0 && !_map.TryMark(lastPlace + used, _metadata.BlockSize - used) ? lastPlace : -1);
    }

    private void MarkIfInside(long start, long length)
    {
        if (length > 0 && start >= 0 && start < _fileLength && length <= _fileLength - start)
        {
            _map.Mark(start, length);
        }
    }

    private async ValueTask<int> ReadPartAsync(long first, CancellationToken cancellationToken)
    {
        var count = (int)Math.Min(EntriesPerPart, _entryCount - first);
        var offset = _batOffset + (first * VhdxLayout.BatEntrySize);
        var length = (long)count * VhdxLayout.BatEntrySize;
        var run = _storage.Map(offset, length);
        if (run.IsHole && run.Length == length)
        {
            return 0;
        }

        await _storage.ReadExactAsync(offset, _part.AsMemory(0, (int)length), cancellationToken).ConfigureAwait(false);
        return count;
    }

    private int NextEntry(int from, int count)
    {
        if (from >= count)
        {
            return count;
        }

        var entries = MemoryMarshal.Cast<byte, ulong>(_part);
        if (entries[from] != 0)
        {
            return from; // full tables are the ones that take long
        }

        var next = entries[from..count].IndexOfAnyExcept(0UL);
        return next < 0 ? count : from + next;
    }

    private VhdxBatEntry EntryAt(int index) => new(BinaryPrimitives.ReadUInt64LittleEndian(_part.AsSpan(index * VhdxLayout.BatEntrySize)));

    /// <summary>
    /// Marks whole blocks that follow one another in the table and in the file, within a chunk. Most do, and a full table of 1 TiB in blocks of 1 MiB has a million entries.
    /// </summary>
    /// <returns>How many entries that were; 0 where the first has to be judged by itself.</returns>
    private int MarkRun(int from, int count, long first)
    {
        var entry = EntryAt(from);
        var start = (long)entry.FileOffset;
        if (entry.PayloadState != PayloadBlockState.FullyPresent || start <= 0 || !_layout.IsPayload(first + from, out var block))
        {
            return 0;
        }

        // Not the last block, which need not be whole, and nothing behind the file's end.
        long limit = Math.Min(count - from, _layout.ChunkRatio - (block % _layout.ChunkRatio));
        limit = Math.Min(limit, Math.Min(_layout.PayloadBlockCount - 1 - block, (_fileLength - start) / _metadata.BlockSize));
        var run = 1;
        for (var last = entry.Raw; run < limit && EntryAt(from + run).Raw == last + _metadata.BlockSize; run++)
        {
            last += _metadata.BlockSize;
        }

        return limit > 0 && _map.TryMark(start, (long)run * _metadata.BlockSize) ? run : 0;
    }

    private Verdict Judge(VhdxBatEntry entry, long index)
    {
        var isPayload = _layout.IsPayload(index, out var number);
        var start = (long)entry.FileOffset;
        if (!_validator.IsPossible(index, entry, _fileLength))
        {
            throw new CorruptImageException(
                $"'{_storage.Name}': entry {index} of the BAT is 0x{entry.Raw:X16}, which points outside the file, into its metadata, or has an impossible state. Its block cannot be read, and writing could destroy others. " +
                "Convert what can be read into a new image.",
                _storage.Name, _batOffset + (index * VhdxLayout.BatEntrySize));
        }

        if (!isPayload)
        {
            var isUsed = _metadata.HasParent && entry.BitmapState == SectorBitmapBlockState.Present;
            _partialBlock = isUsed && _partialBlock >= 0 && _layout.ChunkOf(_partialBlock) == number ? -1 : _partialBlock;
            return !isUsed ? Verdict.Unused : _map.TryMark(start, VhdxLayout.SectorBitmapBlockSize) ? Verdict.Used : Verdict.Shared;
        }

        if (number >= _layout.PayloadBlockCount)
        {
            return Verdict.Unused;
        }

        if (!entry.IsInFile)
        {
            return IsAnchor(entry) ? Verdict.Anchor : Verdict.Unused;
        }

        if (entry.PayloadState == PayloadBlockState.PartiallyPresent && (_partialBlock < 0 || _layout.ChunkOf(_partialBlock) != _layout.ChunkOf(number)))
        {
            ThrowIfPartial();
            _partialBlock = number;
        }

        // The last block need not be whole.
        var size = _validator.UsedSize(number);
        return !_map.TryMark(start, size) ? Verdict.Shared : size < _metadata.BlockSize ? Verdict.UsedInPart : Verdict.Used;
    }

    // A new bitmap for the chunk would say that the parent has all of the block's sectors.
    private void ThrowIfPartial()
    {
        if (_partialBlock >= 0)
        {
            throw new CorruptImageException(
                $"'{_storage.Name}': block {_partialBlock} is partially present, and its chunk has no sector bitmap to tell which sectors are here. Writing could uncover the parent's content. " +
                "Convert what can be read into a new image.",
                _storage.Name, _batOffset + (_layout.PayloadIndex(_partialBlock) * VhdxLayout.BatEntrySize));
        }
    }

    private bool IsAnchor(VhdxBatEntry entry) =>
        !entry.IsInFile && (long)entry.FileOffset is var start && start >= VhdxLayout.HeaderSectionSize && start <= _fileLength - _metadata.BlockSize;

    private async ValueTask<CorruptImageException> SharedAsync(VhdxBatEntry entry, long index, CancellationToken cancellationToken)
    {
        var start = (long)entry.FileOffset;
        var size = SizeOf(index);
        long other = -1;
        for (long first = 0; first < _entryCount && other < 0; first += EntriesPerPart)
        {
            var count = await ReadPartAsync(first, cancellationToken).ConfigureAwait(false);
            for (var i = NextEntry(0, count); i < count && other < 0; i = NextEntry(i + 1, count))
            {
                var seen = EntryAt(i);
                var isUsed = _layout.IsPayload(first + i, out _) ? seen.IsInFile : seen.BitmapState == SectorBitmapBlockState.Present;
                if (isUsed && first + i != index && (long)seen.FileOffset < start + size && start < (long)seen.FileOffset + SizeOf(first + i))
                {
                    other = first + i;
                }
            }
        }

        Debug.Assert(other >= 0);
        return new CorruptImageException(
            $"'{_storage.Name}': entries {other} and {index} of the BAT share the file's bytes from {start} on: at least one is damaged, and writing would destroy the other's content. " +
            "Convert what can be read into a new image.",
            _storage.Name, _batOffset + (index * VhdxLayout.BatEntrySize));
    }

    private long SizeOf(long index) => _layout.IsPayload(index, out var number) ? Alignment.Up(_validator.UsedSize(number), VhdxLayout.StructureAlignment) : VhdxLayout.SectorBitmapBlockSize;

    private enum Verdict
    {
        Unused,
        Used,
        UsedInPart,
        Anchor,
        Shared,
    }
}

/// <summary>What of a file is in use.</summary>
/// <param name="Map">The header section, the log, the regions and every block.</param>
/// <param name="ShortPlace">Bytes from the file's start to the last block, if its place is too small for another; -1 otherwise.</param>
internal sealed record VhdxUsedSpace(VhdxSpaceMap Map, long ShortPlace);
