using System.Security.Cryptography;

namespace VhdCore.Testing.Independent;

/// <summary>A VHDX and its parents as the guest sees them, one sector at a time.</summary>
/// <param name="images">Leaf first; disposed of with this.</param>
internal sealed class PlainVhdxChain(params PlainVhdx[] images) : IDisposable
{
    public long DiskSize => images[0].DiskSize;

    public int SectorSize => images[0].SectorSize;

    public IReadOnlyList<PlainVhdx> Images => images;

    /// <summary>Opens streams, leaf first, and sees that each is the parent that the one before it names.</summary>
    public static PlainVhdxChain Open(params Stream[] files)
    {
        var opened = files.Select(PlainVhdx.Open).ToArray();
        for (var i = 1; i < opened.Length; i++)
        {
            var child = opened[i - 1].Locator;
            if (!new[] { "parent_linkage", "parent_linkage2" }.Any(key => child.TryGetValue(key, out var id) && PlainVhdxBytes.Identifier(id).SequenceEqual(opened[i].DataWriteId)))
            {
                throw new PlainFormatException($"image {i} is not the parent of the one before it");
            }
        }

        return new PlainVhdxChain(opened);
    }

    /// <summary>A sector as the guest sees it; sectors are as large as the images say, all the same.</summary>
    public byte[] ReadSector(long sector)
    {
        var size = images[0].SectorSize;
        foreach (var image in images)
        {
            if (sector >= image.SectorCount)
            {
                return new byte[size];
            }

            switch (image.Where(sector))
            {
                case PlainVhdxPlace.File:
                    return image.ReadSector(sector);

                case PlainVhdxPlace.Zero:
                    return new byte[size];
            }
        }

        return new byte[size];
    }

    /// <summary>Which image answers for a sector, and where the sector lies in its file; -1 where it is zeros.</summary>
    public (int Depth, long FileOffset) Find(long sector)
    {
        for (var depth = 0; depth < images.Length && sector < images[depth].SectorCount; depth++)
        {
            switch (images[depth].Where(sector))
            {
                case PlainVhdxPlace.File:
                    return (depth, images[depth].FileOffset(sector));

                case PlainVhdxPlace.Zero:
                    return (depth, -1);
            }
        }

        return (-1, -1);
    }

    /// <summary>Bytes as the guest sees them, at any alignment.</summary>
    public byte[] Read(long offset, int count)
    {
        var size = images[0].SectorSize;
        var bytes = new byte[count];
        var done = 0;
        while (done < count)
        {
            var sector = ReadSector((offset + done) / size);
            var skip = (int)((offset + done) % size);
            var run = Math.Min(size - skip, count - done);
            Array.Copy(sector, skip, bytes, done, run);
            done += run;
        }

        return bytes;
    }

    /// <summary>The whole content; for small disks.</summary>
    public byte[] ReadAll() => Read(0, checked((int)DiskSize));

    /// <summary>The SHA-256 of the whole content, in lower-case hex digits.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var leaf = images[0];
        var zeros = new byte[leaf.BlockSize];
        for (long block = 0; block < leaf.BlockCount; block++)
        {
            var first = block * leaf.SectorsPerBlock;
            var end = Math.Min(leaf.SectorCount, first + leaf.SectorsPerBlock);
            if (!leaf.HasParent && leaf.Block(block).State is 0 or 1 or 2 or 3 or 5)
            {
                hash.AppendData(zeros, 0, (int)((end - first) * leaf.SectorSize));
                continue;
            }

            for (var sector = first; sector < end; sector++)
            {
                hash.AppendData(ReadSector(sector));
            }
        }

        return PlainBytes.Hex(hash.GetHashAndReset());
    }

    public void Dispose()
    {
        foreach (var image in images)
        {
            image.Dispose();
        }
    }
}
