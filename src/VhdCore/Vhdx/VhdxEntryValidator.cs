using VhdCore.Primitives;

namespace VhdCore.Vhdx;

/// <summary>Why an entry of the BAT cannot be true.</summary>
internal enum VhdxEntryProblem
{
    /// <summary>It can.</summary>
    None,

    /// <summary>No block of this kind of disk is ever in the state.</summary>
    State,

    /// <summary>The block lies over the header section, the log or a region.</summary>
    InMetadata,

    /// <summary>The block lies behind the file's end.</summary>
    BeyondEnd,
}

/// <summary>Tells possible entries of the BAT from impossible ones, each by itself ([MS-VHDX] §2.5.1). That two entries share a block is not looked for.</summary>
internal sealed class VhdxEntryValidator
{
    private readonly VhdxBatLayout _layout;
    private readonly long _virtualSize;
    private readonly uint _blockSize;
    private readonly bool _isDifferencing;
    private readonly List<(long Start, long End)> _taken = []; // the log and the regions, by offset, none overlapping

    /// <param name="metadata">Judged.</param>
    /// <param name="fileLength">Bytes in the file: a log that does not lie inside, which only a log with nothing to replay may do, takes no place.</param>
    public VhdxEntryValidator(VhdxMetadata metadata, long fileLength)
    {
        _layout = metadata.BatLayout;
        _virtualSize = metadata.VirtualSize;
        _blockSize = metadata.BlockSize;
        _isDifferencing = metadata.HasParent;
        var places = new List<(long Start, long End)>();
        Add(places, metadata.Header.LogOffset, metadata.Header.LogLength, fileLength);
        foreach (var region in metadata.Regions)
        {
            Add(places, region.FileOffset, region.Length, fileLength);
        }

        places.Sort();
        foreach (var place in places)
        {
            if (_taken.Count > 0 && place.Start <= _taken[^1].End)
            {
                _taken[^1] = (_taken[^1].Start, Math.Max(_taken[^1].End, place.End));
            }
            else
            {
                _taken.Add(place);
            }
        }
    }

    /// <summary>Whether an entry can be true in a file of <paramref name="fileLength"/> bytes.</summary>
    public bool IsPossible(long index, VhdxBatEntry entry, long fileLength) => Judge(index, entry, fileLength) == VhdxEntryProblem.None;

    /// <summary>Why an entry cannot be true in a file of <paramref name="fileLength"/> bytes.</summary>
    public VhdxEntryProblem Judge(long index, VhdxBatEntry entry, long fileLength)
    {
        if (!_layout.IsPayload(index, out var number))
        {
            // In other states, or without a parent, it is not used; a block that needs it finds that out.
            return !_isDifferencing || entry.BitmapState != SectorBitmapBlockState.Present
                ? VhdxEntryProblem.None
                : JudgePlace(entry.FileOffset, VhdxLayout.SectorBitmapBlockSize, fileLength, mayBeCutShort: false);
        }

        if (number >= _layout.PayloadBlockCount)
        {
            return VhdxEntryProblem.None; // behind the disk's end
        }

        return entry.PayloadState switch
        {
            PayloadBlockState.Reserved => VhdxEntryProblem.State,
            PayloadBlockState.PartiallyPresent when !_isDifferencing => VhdxEntryProblem.State,
            PayloadBlockState.FullyPresent or PayloadBlockState.PartiallyPresent => JudgePlace(entry.FileOffset, UsedSize(number), fileLength, mayBeCutShort: true),
            _ => VhdxEntryProblem.None,
        };
    }

    private static void Add(List<(long Start, long End)> places, ulong offset, uint length, long fileLength)
    {
        if (length > 0 && offset < (ulong)fileLength && length <= fileLength - (long)offset)
        {
            places.Add(((long)offset, (long)offset + length));
        }
    }

    /// <summary>Bytes that a payload block must have in the file.</summary>
    /// <remarks>A last block that the disk does not fill may be shorter than the others: programs other than Windows leave files so.</remarks>
    public long UsedSize(long block) => Alignment.Up(Math.Min(_blockSize, _virtualSize - (block * _blockSize)), VhdxLayout.StructureAlignment);

    private VhdxEntryProblem JudgePlace(ulong offset, long size, long fileLength, bool mayBeCutShort)
    {
        if (offset < VhdxLayout.HeaderSectionSize)
        {
            return VhdxEntryProblem.InMetadata;
        }

        if (offset >= (ulong)fileLength || (!mayBeCutShort && size > fileLength - (long)offset))
        {
            return VhdxEntryProblem.BeyondEnd;
        }

        var start = (long)offset;
        var low = 0;
        var high = _taken.Count;
        while (low < high) // the first place that ends behind the block's start
        {
            var middle = low + ((high - low) / 2);
            if (_taken[middle].End <= start)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low == _taken.Count || _taken[low].Start - start >= size ? VhdxEntryProblem.None : VhdxEntryProblem.InMetadata;
    }
}
