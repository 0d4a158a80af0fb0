using VhdCore.Victim;

namespace VhdCore.Interop.Kills;

/// <summary>What each sector of a disk may hold after a victim was killed.</summary>
/// <param name="content">What the disk held when the victim opened it.</param>
internal sealed class VictimModel(byte[] content)
{
    private const int Sector = VictimScript.SectorSize;
    private const int AsItWas = -1;
    private const int Zeros = 0;

    private readonly Dictionary<int, List<int>> _values = []; // by sector: versions, once something was asked of it

    /// <summary>The flush behind a segment was acknowledged.</summary>
    public void Acknowledged(int seed, int index)
    {
        foreach (var request in VictimScript.Segment(seed, index))
        {
            ForEachSector(request, sector =>
            {
                if (request.Action == VictimAction.Trim)
                {
                    Values(sector).Add(Zeros);
                }
                else
                {
                    _values[sector] = [VersionOf(request)];
                }
            });
        }
    }

    /// <summary>A segment was under way.</summary>
    public void Begun(int seed, int index)
    {
        foreach (var request in VictimScript.Segment(seed, index))
        {
            ForEachSector(request, sector => Values(sector).Add(VersionOf(request)));
        }
    }

    /// <summary>Fails unless every sector holds what it may.</summary>
    public void Judge(byte[] seen, string who)
    {
        Assert.Equal(content.Length, seen.Length);
        for (var sector = 0; sector < content.Length / Sector; sector++)
        {
            var bytes = seen.AsSpan(sector * Sector, Sector);
            var isFound = false;
            var values = _values.GetValueOrDefault(sector, [AsItWas]);
            foreach (var value in values)
            {
                isFound |= bytes.SequenceEqual(Bytes(sector, value));
            }

            Assert.True(isFound, $"To {who}, sector {sector} holds {Convert.ToHexString(bytes[..16])}; it may hold the versions {string.Join(", ", values)}.");
        }
    }

    private static int VersionOf(VictimRequest request) => request.Action == VictimAction.Write ? request.Version : Zeros;

    private static void ForEachSector(VictimRequest request, Action<int> action)
    {
        for (var i = 0; i < request.Length / Sector; i++)
        {
            action((int)(request.Offset / Sector) + i);
        }
    }

    private List<int> Values(int sector)
    {
        if (!_values.TryGetValue(sector, out var values))
        {
            _values.Add(sector, values = [AsItWas]);
        }

        return values;
    }

    private ReadOnlySpan<byte> Bytes(int sector, int value) => value switch
    {
        AsItWas => content.AsSpan(sector * Sector, Sector),
        Zeros => new byte[Sector],
        _ => VictimScript.Content((long)sector * Sector, Sector, value),
    };
}
