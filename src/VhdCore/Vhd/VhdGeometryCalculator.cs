using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>Disk geometry by the specification's appendix "CHS Calculation".</summary>
internal static class VhdGeometryCalculator
{
    private const int MaxCylinders = 65535;
    private const int MaxHeads = 16;
    private const int MaxSectorsPerTrack = 255;
    private const long MaxSectorCount = (long)MaxCylinders * MaxHeads * MaxSectorsPerTrack;

    /// <summary>The largest geometry: it stands for every disk that is too large for one, about 127.5 GiB and up.</summary>
    public static VhdGeometry Largest { get; } = new(MaxCylinders, MaxHeads, MaxSectorsPerTrack);

    /// <summary>The geometry of a disk of <paramref name="size"/> bytes. It covers at most the size, often a little less.</summary>
    public static VhdGeometry OfSize(long size) => OfSectorCount(size / VhdLayout.SectorSize);

    /// <summary>
    /// The next size from <paramref name="size"/> on that some disk's geometry covers exactly, and that geometry: computing it anew from the size may
    /// give a smaller one. Beyond the largest geometry, where nobody sizes a disk by it, the next whole sector.
    /// </summary>
    public static (long Size, VhdGeometry Geometry) RoundUpToGeometry(long size)
    {
        var wanted = Alignment.CountOf(size, VhdLayout.SectorSize);
        for (var sectorCount = wanted; sectorCount <= MaxSectorCount; sectorCount++)
        {
            var geometry = OfSectorCount(sectorCount);
            if (geometry.Size >= wanted * VhdLayout.SectorSize)
            {
                return (geometry.Size, geometry);
            }
        }

        return (wanted * VhdLayout.SectorSize, Largest);
    }

    private static VhdGeometry OfSectorCount(long sectorCount)
    {
        var total = Math.Min(sectorCount, MaxSectorCount);
        long sectorsPerTrack;
        long heads;
        long cylinderTimesHeads;
        if (total >= MaxCylinders * MaxHeads * 63L)
        {
            sectorsPerTrack = MaxSectorsPerTrack;
            heads = MaxHeads;
            cylinderTimesHeads = total / sectorsPerTrack;
        }
        else
        {
            sectorsPerTrack = 17;
            cylinderTimesHeads = total / sectorsPerTrack;
            heads = Math.Max(4, (cylinderTimesHeads + 1023) / 1024);
            if (cylinderTimesHeads >= heads * 1024 || heads > MaxHeads)
            {
                sectorsPerTrack = 31;
                heads = MaxHeads;
                cylinderTimesHeads = total / sectorsPerTrack;
            }

            if (cylinderTimesHeads >= heads * 1024)
            {
                sectorsPerTrack = 63;
                heads = MaxHeads;
                cylinderTimesHeads = total / sectorsPerTrack;
            }
        }

        return new VhdGeometry((ushort)(cylinderTimesHeads / heads), (byte)heads, (byte)sectorsPerTrack);
    }
}
