using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Judges every entry of the BAT by itself, with its neighbours and with all others ([MS-VHDX] §2.5.1).</summary>
internal sealed class VhdxBatChecker
{
    private const string Structure = "BAT";
    private const long MaxExtraEntries = 64L << 20; // entries behind the disk's that are looked at

    private readonly VhdxMetadata _metadata;
    private readonly VhdxBatLayout _layout;
    private readonly VhdxBatScanner _scanner;
    private readonly VhdxEntryValidator _validator;
    private readonly VhdxSpaceMap _used;
    private readonly FindingList _findings;
    private readonly long _fileLength;
    private readonly List<(long Index, long Offset)> _overlaps = []; // an entry, and the first MiB that an earlier one has too
    private long _overlapCount;
    private long _extraCount;
    private long _anchorCount;
    private long _waitingChunk = -1; // has a partially present block, and its bitmap's entry was not met yet
    private long _waitingBlock;

    /// <param name="view">The file as it is after replay.</param>
    /// <param name="metadata">Judged.</param>
    /// <param name="used">Where the places of blocks are marked; empty so far.</param>
    /// <param name="findings">Where findings go.</param>
    public VhdxBatChecker(IStorage view, VhdxMetadata metadata, VhdxSpaceMap used, FindingList findings)
    {
        _metadata = metadata;
        _layout = metadata.BatLayout;
        _scanner = new VhdxBatScanner(view, metadata);
        _fileLength = Math.Min(view.Length, VhdxLayout.MaxFileLength);
        _validator = new VhdxEntryValidator(metadata, _fileLength);
        _used = used;
        _findings = findings;
    }

    /// <summary>Payload blocks that are in the file.</summary>
    public long AllocatedCount { get; private set; }

    public async ValueTask CheckAsync(CancellationToken cancellationToken)
    {
        var inRegion = _metadata.BatRegion.Length / VhdxLayout.BatEntrySize;
        var count = Math.Min(inRegion, _layout.EntryCount);
        await _scanner.ScanAsync(0, count, Visit, cancellationToken).ConfigureAwait(false);
        EndChunk();
        await _scanner.ScanAsync(count, Math.Min(inRegion, count + MaxExtraEntries), (_, _) => _extraCount++, cancellationToken).ConfigureAwait(false);
        if (_extraCount > 0)
        {
            _findings.Warn(
                VhdxFindingId.BatExtraEntries, Structure, _scanner.OffsetOf(count),
                $"Behind the entries of the disk's blocks, {_extraCount} more are in use. They belong to no part of the disk: it was made smaller, or its size is damaged.");
        }

        if (_overlaps.Count > 0)
        {
            await AddOverlapsAsync(count, cancellationToken).ConfigureAwait(false);
        }

        if (_anchorCount > 0)
        {
            await _scanner.ScanAsync(0, count, VisitAnchor, cancellationToken).ConfigureAwait(false);
        }
    }

    private void Visit(long index, VhdxBatEntry entry)
    {
        var isPayload = _layout.IsPayload(index, out var number);
        if (isPayload && number >= _layout.PayloadBlockCount)
        {
            _extraCount++; // a differencing disk's last chunk is not full
            return;
        }

        if (entry.Reserved != 0)
        {
            Corrupt(VhdxFindingId.BatReservedBits, index, $"{NameOf(index)} has the entry 0x{entry.Raw:X16}, whose reserved bits are not zero. They mean nothing here; other readers may refuse the image.", isRepairable: true);
        }

        var problem = _validator.Judge(index, entry, _fileLength);
        if (problem != VhdxEntryProblem.None)
        {
            Add(index, entry, problem);
        }

        if (isPayload)
        {
            VisitPayload(index, number, entry, problem == VhdxEntryProblem.None);
        }
        else
        {
            VisitBitmap(index, number, entry, problem == VhdxEntryProblem.None);
        }
    }

    private void VisitPayload(long index, long block, VhdxBatEntry entry, bool isPossible)
    {
        if (entry.PayloadState == PayloadBlockState.UnmappedInDrafts)
        {
            _findings.Note(
                VhdxFindingId.BatDraftState, Structure, _scanner.OffsetOf(index),
                $"Block {block} is in the state 5, which meant unmapped before the format was published; it is read as zeros.");
        }
        else if (entry.PayloadState is PayloadBlockState.NotPresent or PayloadBlockState.Zero && entry.FileOffset != 0)
        {
            _findings.Warn(
                VhdxFindingId.BatReservedOffset, Structure, _scanner.OffsetOf(index),
                $"Block {block} is {(entry.PayloadState == PayloadBlockState.Zero ? "zero" : "not present")}, and its entry has the offset {entry.FileOffset}, which means nothing there. Hyper-V refuses such images.",
                isRepairable: true);
        }

        if (isPossible && entry.IsInFile)
        {
            AllocatedCount++;
            Mark(index, (long)entry.FileOffset, _validator.UsedSize(block));
            var size = Math.Min(_metadata.BlockSize, _metadata.VirtualSize - (block * _metadata.BlockSize));
            if (size > _fileLength - (long)entry.FileOffset)
            {
                _findings.Warn(
                    VhdxFindingId.BatCutShort, Structure, _scanner.OffsetOf(index),
                    $"Block {block} at byte {entry.FileOffset} is cut short by the end of the file at byte {_fileLength}; what is missing reads as zeros.");
            }
        }
        else if (IsAnchor(entry))
        {
            _anchorCount++;
        }

        if (isPossible && entry.PayloadState == PayloadBlockState.PartiallyPresent && _waitingChunk != _layout.ChunkOf(block))
        {
            EndChunk();
            _waitingChunk = _layout.ChunkOf(block);
            _waitingBlock = block;
        }
    }

    private void VisitBitmap(long index, long chunk, VhdxBatEntry entry, bool isPossible)
    {
        if (entry.BitmapState is not (SectorBitmapBlockState.NotPresent or SectorBitmapBlockState.Present))
        {
            Corrupt(VhdxFindingId.BitmapState, index, $"{NameOf(index)} is in the state {entry.Raw & 7}; it can be present (6) or not (0).");
        }
        else if (entry.BitmapState == SectorBitmapBlockState.Present && !_metadata.HasParent)
        {
            Corrupt(VhdxFindingId.BitmapUnexpected, index, $"{NameOf(index)} is present, which only differencing disks have. It is not used here; other readers may refuse the image.", isRepairable: true);
        }
        else if (entry.BitmapState == SectorBitmapBlockState.Present)
        {
            _waitingChunk = chunk == _waitingChunk ? -1 : _waitingChunk;
            if (isPossible)
            {
                Mark(index, (long)entry.FileOffset, VhdxLayout.SectorBitmapBlockSize);
            }
        }
    }

    /// <summary>A block that the guest gave back may keep its place, which no other may have.</summary>
    private void VisitAnchor(long index, VhdxBatEntry entry)
    {
        if (_layout.IsPayload(index, out var block) && block < _layout.PayloadBlockCount && IsAnchor(entry) && !_used.TryMark((long)entry.FileOffset, _metadata.BlockSize))
        {
            _used.Mark((long)entry.FileOffset, _metadata.BlockSize);
            _findings.Warn(
                VhdxFindingId.BatAnchorShared, Structure, _scanner.OffsetOf(index),
                $"Block {block} was given back by the guest, and its entry still names byte {entry.FileOffset}, where something else lies. It is read as zeros; the format wants the place for itself.");
        }
    }

    private bool IsAnchor(VhdxBatEntry entry) =>
        !entry.IsInFile && entry.FileOffset >= VhdxLayout.HeaderSectionSize && entry.FileOffset < (ulong)_fileLength && _metadata.BlockSize <= _fileLength - (long)entry.FileOffset;

    /// <summary>All entries of the chunk that waits for its bitmap have been met.</summary>
    private void EndChunk()
    {
        if (_waitingChunk >= 0)
        {
            var index = _layout.PayloadIndex(_waitingBlock);
            Corrupt(
                VhdxFindingId.BitmapMissing, index,
                $"Block {_waitingBlock} is partially present, and its chunk {_waitingChunk} has no sector bitmap: nothing tells which sectors are here and which are the parent's.",
                refusal: FindingRefusal.Writing);
            _waitingChunk = -1;
        }
    }

    private void Mark(long index, long offset, long size)
    {
        var isShared = _used.Find(offset, offset + size, isFree: false, out var shared) > 0;
        _used.Mark(offset, size);
        if (isShared && _overlapCount++ < FindingList.MaxPerId)
        {
            _overlaps.Add((index, shared));
        }
    }

    /// <summary>Goes through the table again, to say which entries came first.</summary>
    private async ValueTask AddOverlapsAsync(long count, CancellationToken cancellationToken)
    {
        var owners = new Dictionary<long, long>();
        foreach (var (_, offset) in _overlaps)
        {
            owners[offset] = -1;
        }

        await _scanner.ScanAsync(0, count, (index, entry) =>
        {
            var isPayload = _layout.IsPayload(index, out _);
            var size = isPayload ? _metadata.BlockSize : VhdxLayout.SectorBitmapBlockSize;
            for (var at = entry.FileOffset; at < (ulong)_fileLength && at - entry.FileOffset < size; at += VhdxLayout.OneMiB)
            {
                if (owners.TryGetValue((long)at, out var owner) && owner < 0 && (isPayload ? entry.IsInFile : entry.BitmapState == SectorBitmapBlockState.Present))
                {
                    owners[(long)at] = index;
                }
            }
        }, cancellationToken).ConfigureAwait(false);
        foreach (var (index, offset) in _overlaps)
        {
            Corrupt(
                VhdxFindingId.BatOverlap, index,
                $"{NameOf(owners[offset])} and {NameOf(index, isFirst: false)} share the file's bytes from {offset} on: at least one of the entries is damaged.", refusal: FindingRefusal.Writing);
        }

        _findings.AddUnlisted(VhdxFindingId.BatOverlap, _overlapCount - _overlaps.Count);
    }

    private void Add(long index, VhdxBatEntry entry, VhdxEntryProblem problem)
    {
        var (id, message) = problem switch
        {
            VhdxEntryProblem.State => (VhdxFindingId.BatState, entry.PayloadState == PayloadBlockState.Reserved
                ? $"{NameOf(index)} is in the state 4, which is reserved: what the block holds cannot be told."
                : $"{NameOf(index)} is partially present, and this is no differencing disk: what the block holds cannot be told."),
            VhdxEntryProblem.InMetadata => (VhdxFindingId.BatInMetadata, $"{NameOf(index)} should lie at byte {entry.FileOffset}, over the header section, the log or a region: the entry is damaged."),
            _ => (VhdxFindingId.BatBeyondEnd, $"{NameOf(index)} should lie at byte {entry.FileOffset}, behind the file's end at byte {_fileLength}: the file was cut short, or the entry is damaged."),
        };
        Corrupt(id, index, message, refusal: FindingRefusal.Writing);
    }

    private void Corrupt(string id, long index, string message, bool isRepairable = false, FindingRefusal refusal = FindingRefusal.None) =>
        _findings.Add(new Finding(id, FindingSeverity.Corruption, Structure, _scanner.OffsetOf(index), message) { IsRepairable = isRepairable, Refusal = refusal });

    private string NameOf(long index, bool isFirst = true)
    {
        var article = isFirst ? "The" : "the";
        return _layout.IsPayload(index, out var number) ? $"{(isFirst ? "Block" : "block")} {number}" : $"{article} sector bitmap of chunk {number}";
    }
}
