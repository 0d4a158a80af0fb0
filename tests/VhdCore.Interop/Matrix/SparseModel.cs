using System.Security.Cryptography;

namespace VhdCore.Interop.Matrix;

/// <summary>What a disk of any size should hold: zeros but for the sectors that were written. Knows no format.</summary>
internal sealed class SparseModel(long length)
{
    private readonly SortedDictionary<long, byte[]> _sectors = [];

    /// <summary>Bytes.</summary>
    public long Length { get; } = length;

    /// <summary>Numbers of the sectors that were ever written, rising.</summary>
    public IEnumerable<long> Sectors => _sectors.Keys;

    /// <summary>A copy that the original does not follow, of another length perhaps.</summary>
    public SparseModel Copy(long newLength)
    {
        var copy = new SparseModel(newLength);
        foreach (var (sector, bytes) in _sectors.Where(item => (item.Key + 1) * 512 <= newLength))
        {
            copy._sectors[sector] = (byte[])bytes.Clone();
        }

        return copy;
    }

    public void Write(long offset, ReadOnlySpan<byte> content)
    {
        while (content.Length > 0)
        {
            var sector = offset / 512;
            if (!_sectors.TryGetValue(sector, out var bytes))
            {
                bytes = new byte[512];
                _sectors.Add(sector, bytes);
            }

            var skip = (int)(offset % 512);
            var run = Math.Min(512 - skip, content.Length);
            content[..run].CopyTo(bytes.AsSpan(skip));
            content = content[run..];
            offset += run;
        }
    }

    public byte[] ReadSector(long sector) => _sectors.TryGetValue(sector, out var bytes) ? bytes : new byte[512];

    public byte[] Read(long offset, int count)
    {
        var content = new byte[count];
        for (var done = 0; done < count;)
        {
            var skip = (int)((offset + done) % 512);
            var run = Math.Min(512 - skip, count - done);
            ReadSector((offset + done) / 512).AsSpan(skip, run).CopyTo(content.AsSpan(done));
            done += run;
        }

        return content;
    }

    /// <summary>A sparse raw file of this content.</summary>
    public void WriteRaw(string path)
    {
        using var file = File.Create(path);
        file.SetLength(Length);
        foreach (var (sector, bytes) in _sectors)
        {
            file.Position = sector * 512;
            file.Write(bytes, 0, (int)Math.Min(512, Length - (sector * 512)));
        }
    }

    /// <summary>The SHA-256 of everything; for small disks.</summary>
    public string Hash() => Convert.ToHexStringLower(SHA256.HashData(Read(0, checked((int)Length))));
}
