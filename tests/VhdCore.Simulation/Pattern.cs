using System.Buffers.Binary;

namespace VhdCore.Simulation;

/// <summary>Content that says whose it is: every 16 bytes carry the sector they were written for and a version.</summary>
internal static class Pattern
{
    private const uint Mark = 0x5EC7_0AA5;

    public static byte[] Create(long offset, int length, int version)
    {
        var first = offset & -16;
        var whole = new byte[((offset + length + 15) & -16) - first];
        for (var at = 0; at < whole.Length; at += 16)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(whole.AsSpan(at), Mark);
            BinaryPrimitives.WriteInt32LittleEndian(whole.AsSpan(at + 4), (int)((first + at) / SectorOracle.SectorSize));
            BinaryPrimitives.WriteInt64LittleEndian(whole.AsSpan(at + 8), version);
        }

        return whole.AsSpan((int)(offset - first), length).ToArray();
    }

    /// <summary>A sector's content for people.</summary>
    public static string Describe(ReadOnlySpan<byte> sector)
    {
        if (!sector.ContainsAnyExcept((byte)0))
        {
            return "zeros";
        }

        var parts = new List<string>();
        for (var at = 0; at + 16 <= sector.Length; at += 16)
        {
            var part = BinaryPrimitives.ReadUInt32LittleEndian(sector[at..]) == Mark
                ? $"sector {BinaryPrimitives.ReadInt32LittleEndian(sector[(at + 4)..])} version {BinaryPrimitives.ReadInt64LittleEndian(sector[(at + 8)..])}"
                : Convert.ToHexString(sector.Slice(at, 16));
            if (!parts.Contains(part) && parts.Count < 4)
            {
                parts.Add(part);
            }
        }

        return string.Join(" + ", parts);
    }
}
