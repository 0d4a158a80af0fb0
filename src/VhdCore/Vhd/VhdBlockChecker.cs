using System.Buffers;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>Checks each block's sector bitmap against its data, and the batmap against the bitmaps.</summary>
internal sealed class VhdBlockChecker
{
    private const int ChunkSize = 256 << 10; // bytes

    private readonly IStorage _storage;
    private readonly VhdMetadata _metadata;
    private readonly uint[] _entries;
    private readonly HashSet<int> _misplaced;
    private readonly FindingList _findings;
    private readonly int _bitmapSize;
    private readonly long _dataEnd;
    private byte[] _batmap = []; // the bits that can be relied on

    /// <param name="storage">The image.</param>
    /// <param name="metadata">Its structures.</param>
    /// <param name="entries">Its table.</param>
    /// <param name="misplaced">Blocks whose place is known to be wrong: what lies there says nothing.</param>
    /// <param name="findings">Where findings go.</param>
    public VhdBlockChecker(IStorage storage, VhdMetadata metadata, uint[] entries, HashSet<int> misplaced, FindingList findings)
    {
        _storage = storage;
        _metadata = metadata;
        _entries = entries;
        _misplaced = misplaced;
        _findings = findings;
        _bitmapSize = VhdLayout.BitmapSize((int)metadata.Header!.BlockSize);
        _dataEnd = metadata.DataEnd(storage.Length);
    }

    public async ValueTask CheckAsync(CancellationToken cancellationToken)
    {
        await ReadBatmapAsync(cancellationToken).ConfigureAwait(false);
        var bitmap = ArrayPool<byte>.Shared.Rent(_bitmapSize);
        var data = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            for (var block = 0; block < _entries.Length; block++)
            {
                var offset = (long)_entries[block] * VhdLayout.SectorSize;
                if (_entries[block] == VhdLayout.UnusedEntry)
                {
                    CheckBatmapBit(block, isAllocated: false, isFull: false);
                }
                else if (offset + _bitmapSize <= _dataEnd && !_misplaced.Contains(block))
                {
                    await CheckBlockAsync(block, offset, bitmap.AsMemory(0, _bitmapSize), data, cancellationToken).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bitmap);
            ArrayPool<byte>.Shared.Return(data);
        }
    }

    private async ValueTask CheckBlockAsync(int block, long offset, Memory<byte> bitmap, byte[] data, CancellationToken cancellationToken)
    {
        await _storage.ReadExactAsync(offset, bitmap, "a sector bitmap", cancellationToken).ConfigureAwait(false);
        var sectorCount = _metadata.UsedBlockSize(block) / VhdLayout.SectorSize;
        var isFull = NextSector(bitmap.Span, 0, sectorCount, isPresent: false) == sectorCount;
        CheckBatmapBit(block, isAllocated: true, isFull);
        if (isFull || _metadata.Kind != ImageKind.Dynamic)
        {
            return;
        }

        var dirty = 0;
        long first = -1;
        for (var sector = 0; sector < sectorCount;)
        {
            var start = NextSector(bitmap.Span, sector, sectorCount, isPresent: false);
            sector = NextSector(bitmap.Span, start, sectorCount, isPresent: true);
            if (start < sector)
            {
                var (count, at) = await CountDirtySectorsAsync(
                    offset + _bitmapSize + ((long)start * VhdLayout.SectorSize), sector - start, data, cancellationToken).ConfigureAwait(false);
                dirty += count;
                first = first < 0 ? at : first;
            }
        }

        if (dirty > 0)
        {
            _findings.Add(new Finding(
                VhdFindingId.BitmapClearWithData, FindingSeverity.Warning, "sector bitmap", first,
                $"Block {block} has {dirty} sectors that are marked as never written and hold data, the first at byte {first}. They read as zeros here, in XenServer and with libvhdi; QEMU reads the data."));
        }
    }

    private async ValueTask<(int Count, long First)> CountDirtySectorsAsync(long offset, int sectorCount, byte[] data, CancellationToken cancellationToken)
    {
        var count = 0;
        long first = -1;
        var end = Math.Min(offset + ((long)sectorCount * VhdLayout.SectorSize), _dataEnd);
        while (offset < end)
        {
            var mapped = _storage.Map(offset, end - offset);
            if (mapped.IsHole && (mapped.Length == end - offset || mapped.Length >= VhdLayout.SectorSize))
            {
                offset = mapped.Length == end - offset ? end : offset + Alignment.Down(mapped.Length, VhdLayout.SectorSize);
                continue;
            }

            // Whole sectors, although a hole may begin in the middle of one.
            var run = (int)Math.Min(Math.Min(Alignment.Up(mapped.Length, VhdLayout.SectorSize), end - offset), ChunkSize);
            await _storage.ReadExactAsync(offset, data.AsMemory(0, run), "a block", cancellationToken).ConfigureAwait(false);
            for (var i = 0; i < run; i += VhdLayout.SectorSize)
            {
                if (data.AsSpan(i, Math.Min(VhdLayout.SectorSize, run - i)).ContainsAnyExcept((byte)0))
                {
                    count++;
                    first = first < 0 ? offset + i : first;
                }
            }

            offset += run;
        }

        return (count, first);
    }

    // The first sector from `sector` on whose bit is as asked, or `sectorCount`. Bits count from the highest of byte 0.
    private static int NextSector(ReadOnlySpan<byte> bitmap, int sector, int sectorCount, bool isPresent)
    {
        var uniform = isPresent ? (byte)0 : (byte)0xFF;
        while (sector < sectorCount)
        {
            if ((sector & 7) == 0 && bitmap[sector >> 3] == uniform)
            {
                sector += 8;
            }
            else if ((bitmap[sector >> 3] & (0x80 >> (sector & 7))) != 0 == isPresent)
            {
                return sector;
            }
            else
            {
                sector++;
            }
        }

        return sectorCount;
    }

    private async ValueTask ReadBatmapAsync(CancellationToken cancellationToken)
    {
        if (_metadata.Batmap is not { } header || header.Version is < VhdBatmapHeaderView.SignedSumVersion or > VhdBatmapHeaderView.NewestVersion)
        {
            return;
        }

        // libvhd reads, writes and sums only so much of the map: a byte for every 16 MiB of the disk, rounded down, in whole sectors.
        var size = Math.Max(VhdLayout.SectorSize, Alignment.Up(_metadata.VirtualSize >> 24, VhdLayout.SectorSize));
        if (header.MapOffset > (ulong)_dataEnd || size > _dataEnd - (long)header.MapOffset || size > (long)header.MapSectorCount * VhdLayout.SectorSize)
        {
            return;
        }

        var map = new byte[size];
        await _storage.ReadExactAsync((long)header.MapOffset, map, "the batmap", cancellationToken).ConfigureAwait(false);
        var sum = OnesComplementSum.Of(map);
        if (header.Version == VhdBatmapHeaderView.SignedSumVersion)
        {
            sum = unchecked(sum + (256 * (uint)map.Count(value => value >= 128)));
        }

        if (sum != header.Checksum)
        {
            _findings.Add(new Finding(
                VhdFindingId.BatmapChecksum, FindingSeverity.Corruption, "batmap", _metadata.BatmapHeaderOffset + 24,
                $"The batmap's checksum is 0x{header.Checksum:X8}, its bytes sum up to 0x{sum:X8}. XenServer may refuse the image; nothing here relies on the map.")
            {
                IsRepairable = true,
            });
        }

        _batmap = map;
    }

    private void CheckBatmapBit(int block, bool isAllocated, bool isFull)
    {
        if (isFull || (block >> 3) >= _batmap.Length || (_batmap[block >> 3] & (0x80 >> (block & 7))) == 0)
        {
            return;
        }

        _findings.Add(new Finding(
            VhdFindingId.BatmapLeads, FindingSeverity.Corruption, "batmap", (long)_metadata.Batmap!.MapOffset + (block >> 3),
            isAllocated
                ? $"The batmap says that block {block} is written in full, and its sector bitmap says otherwise: XenServer reads sectors that the disk does not have."
                : $"The batmap says that block {block} is written in full, and the table has no such block.")
        {
            IsRepairable = true,
        });
    }
}
