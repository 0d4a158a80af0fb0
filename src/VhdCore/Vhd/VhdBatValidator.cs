using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>
/// Whether a block allocation table is possible: every block inside the file's data, none over metadata, no two over each other. Pure. O(n) where
/// blocks lie in ascending order, as most programs leave them, O(n log n) otherwise; memory for eight bytes a block.
/// </summary>
/// <remarks>
/// A block takes its sector bitmap and as much data as the disk has of it, so a last block that the disk does not fill may be short. What
/// the end of the file, or the end footer, cuts off a block reads as zeros.
/// </remarks>
internal static class VhdBatValidator
{
    /// <summary>The first problem for which the image must not be opened; null for a possible table.</summary>
    /// <param name="entries">The table in the machine's byte order, one entry for each of the disk's blocks.</param>
    /// <param name="metadata">Judged: its table's place and block count are true.</param>
    /// <param name="fileLength">Bytes of the file.</param>
    /// <param name="isForWriting">A block over the batmap or a parent locator counts as well: writing to it would damage them.</param>
    public static VhdBatProblem? FirstProblem(ReadOnlySpan<uint> entries, VhdMetadata metadata, long fileLength, bool isForWriting = false)
    {
        var check = new Check(metadata, fileLength);
        var isAscending = true;
        long previousEnd = 0;
        for (var i = 0; i < entries.Length; i++)
        {
            if (entries[i] == VhdLayout.UnusedEntry)
            {
                continue;
            }

            var start = Start(entries[i]);
            if (check.Place(i, start) is { IsFatal: true } problem)
            {
                return problem;
            }

            if (isForWriting && check.IsInAuxiliary(i, start))
            {
                return new VhdBatProblem(VhdBatProblemKind.InAuxiliary, i, -1, start);
            }

            isAscending &= start >= previousEnd;
            previousEnd = start + check.SizeOf(i);
        }

        return isAscending ? null : Overlaps(entries, check, problems: null);
    }

    /// <summary>Every problem, bounded; see <see cref="FirstProblem"/>.</summary>
    public static VhdBatProblems AllProblems(ReadOnlySpan<uint> entries, VhdMetadata metadata, long fileLength)
    {
        var check = new Check(metadata, fileLength);
        var problems = new VhdBatProblems();
        for (var i = 0; i < entries.Length; i++)
        {
            if (entries[i] == VhdLayout.UnusedEntry)
            {
                continue;
            }

            var start = Start(entries[i]);
            if (check.Place(i, start) is { } problem)
            {
                problems.Add(problem);
            }

            if (check.IsInAuxiliary(i, start))
            {
                problems.Add(new VhdBatProblem(VhdBatProblemKind.InAuxiliary, i, -1, start));
            }
        }

        Overlaps(entries, check, problems);
        return problems;
    }

    private static long Start(uint entry) => (long)entry * VhdLayout.SectorSize;

    // Sorts the blocks by place and compares neighbours; without a list, ends at the first overlap.
    private static VhdBatProblem? Overlaps(ReadOnlySpan<uint> entries, in Check check, VhdBatProblems? problems)
    {
        var places = new ulong[entries.Length - entries.Count(VhdLayout.UnusedEntry)];
        var count = 0;
        for (var i = 0; i < entries.Length; i++)
        {
            if (entries[i] != VhdLayout.UnusedEntry)
            {
                places[count++] = ((ulong)entries[i] << 32) | (uint)i;
            }
        }

        Array.Sort(places);
        long furthestEnd = 0;
        var furthestIndex = -1;
        foreach (var place in places)
        {
            var index = (int)(uint)place;
            var start = Start((uint)(place >> 32));
            if (start < furthestEnd)
            {
                var problem = new VhdBatProblem(VhdBatProblemKind.Overlap, index, furthestIndex, start);
                if (problems is null)
                {
                    return problem;
                }

                problems.Add(problem);
            }

            if (start + check.SizeOf(index) > furthestEnd)
            {
                furthestEnd = start + check.SizeOf(index);
                furthestIndex = index;
            }
        }

        return null;
    }

    /// <summary>What does not change from entry to entry.</summary>
    private readonly struct Check
    {
        private readonly VhdMetadata _metadata;
        private readonly int _bitmapSize;
        private readonly long _blockSize;
        private readonly int _lastIndex;
        private readonly long _lastSize;
        private readonly long _dataEnd;
        private readonly long _headerOffset;
        private readonly long _tableOffset;
        private readonly long _tableEnd;

        public Check(VhdMetadata metadata, long fileLength)
        {
            var header = metadata.Header!;
            _metadata = metadata;
            _bitmapSize = VhdLayout.BitmapSize((int)header.BlockSize);
            _blockSize = _bitmapSize + (long)header.BlockSize;
            _lastIndex = metadata.BlockCount - 1;
            _lastSize = _bitmapSize + (long)metadata.UsedBlockSize(_lastIndex);
            _dataEnd = metadata.DataEnd(fileLength);
            _headerOffset = metadata.HeaderOffset;
            _tableOffset = (long)header.TableOffset;
            _tableEnd = _tableOffset + ((long)header.MaxTableEntries * VhdLayout.BatEntrySize);
        }

        public long SizeOf(int index) => index == _lastIndex ? _lastSize : _blockSize;

        public VhdBatProblem? Place(int index, long start)
        {
            var end = start + SizeOf(index);
            if (start < VhdLayout.FooterSize || Meets(start, end, _headerOffset, _headerOffset + VhdLayout.HeaderSize) || Meets(start, end, _tableOffset, _tableEnd))
            {
                return new VhdBatProblem(VhdBatProblemKind.InMetadata, index, -1, start);
            }

            if (start + _bitmapSize >= _dataEnd)
            {
                return new VhdBatProblem(VhdBatProblemKind.BeyondEnd, index, -1, start);
            }

            return end > _dataEnd ? new VhdBatProblem(VhdBatProblemKind.CutShort, index, -1, start) : null;
        }

        public bool IsInAuxiliary(int index, long start)
        {
            var end = start + SizeOf(index);
            if (_metadata.Batmap is { } batmap)
            {
                var mapSize = (long)batmap.MapSectorCount * VhdLayout.SectorSize;
                if (Meets(start, end, _metadata.BatmapHeaderOffset, _metadata.BatmapHeaderOffset + VhdBatmapHeaderView.Size)
                    || (batmap.MapOffset < (ulong)_dataEnd && Meets(start, end, (long)batmap.MapOffset, (long)batmap.MapOffset + mapSize)))
                {
                    return true;
                }
            }

            if (_metadata.Footer.DiskType == VhdDiskType.Differencing)
            {
                foreach (var entry in _metadata.Header!.ParentLocators)
                {
                    if (entry.PlatformCode != 0 && entry.PlatformDataLength <= VhdParentLocatorReader.MaxDataLength
                        && entry.PlatformDataOffset < (ulong)_dataEnd
                        && Meets(start, end, (long)entry.PlatformDataOffset, (long)entry.PlatformDataOffset + Alignment.Up(entry.PlatformDataLength, VhdLayout.SectorSize)))
                    {
                        return true;
                    }
                }
            }

            return false;
        }

        private static bool Meets(long start, long end, long otherStart, long otherEnd) => start < otherEnd && otherStart < end;
    }
}
