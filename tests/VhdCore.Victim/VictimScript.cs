using System.Buffers.Binary;

namespace VhdCore.Victim;

/// <summary>What a request does to its range.</summary>
internal enum VictimAction
{
    Write,
    Zero,

    /// <summary>A hint: the range reads as zeros afterwards, or as before.</summary>
    Trim,
}

/// <summary>One request.</summary>
/// <param name="Action">What it does.</param>
/// <param name="Offset">Bytes of disk before it, whole sectors of 512.</param>
/// <param name="Length">Bytes, whole sectors of 512.</param>
/// <param name="Version">What its content is marked with; no two requests of an image have the same.</param>
internal sealed record VictimRequest(VictimAction Action, long Offset, int Length, int Version);

/// <summary>What a victim does, by its seed: segments of requests that run side by side, none over another, and a flush behind each.</summary>
internal static class VictimScript
{
    public const int SectorSize = 512;

    /// <summary>Bytes. The last block is not whole.</summary>
    public const int DiskSize = (12 * RegionSize) + (RegionSize / 4);

    private const int RegionSize = 1 << 20; // bytes: a block of the smallest kind
    private const int RegionCount = 12;
    private const int MostRequests = 6; // side by side
    private const int MostSectors = 40;
    private const int PartSize = 16; // bytes that say whose they are

    /// <summary>The requests of one segment.</summary>
    /// <param name="seed">Of the process: no two processes on an image have the same.</param>
    /// <param name="index">0 for the first.</param>
    public static List<VictimRequest> Segment(int seed, int index)
    {
        var random = new Random(HashCode(seed, index));
        var regions = Enumerable.Range(0, RegionCount + 1).OrderBy(_ => random.Next()).Take(random.Next(1, MostRequests + 1)).ToArray();
        return [.. regions.Select((region, i) => Request(random, region, checked((((seed * 10_000) + index) * 10) + i + 1)))];
    }

    /// <summary>Content of which every 16 bytes carry their sector and a version.</summary>
    public static byte[] Content(long offset, int length, int version)
    {
        var content = new byte[length];
        for (var at = 0; at < length; at += PartSize)
        {
            BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(at), (offset + at) / SectorSize);
            BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(at + 8), version);
            BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(at + 12), at % SectorSize);
        }

        return content;
    }

    private static VictimRequest Request(Random random, int region, int version)
    {
        var start = region * RegionSize;
        var size = Math.Min(RegionSize, DiskSize - start);
        var kind = random.Next(12);
        if (kind is 0 or 1 or 2)
        {
            return new VictimRequest(kind == 0 ? VictimAction.Write : kind == 1 ? VictimAction.Zero : VictimAction.Trim, start, size, version);
        }

        var first = random.Next(size / SectorSize);
        var count = Math.Min(random.Next(1, MostSectors), (size / SectorSize) - first);
        return new VictimRequest(kind == 3 ? VictimAction.Zero : VictimAction.Write, start + (first * SectorSize), count * SectorSize, version);
    }

    // The same in every process, as the runtime's own is not.
    private static int HashCode(int seed, int index) => unchecked((seed * 486187739) + (index * 16777619));
}
