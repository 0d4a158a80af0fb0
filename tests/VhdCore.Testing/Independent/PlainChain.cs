using System.Security.Cryptography;

namespace VhdCore.Testing.Independent;

/// <summary>
/// A VHD with all its parents, read one sector at a time: the first image from the leaf that has the sector gives it; one that ends before the
/// sector hides everything below it; nothing has it: zero. The root may be a raw file.
/// </summary>
internal sealed class PlainChain : IDisposable
{
    private readonly List<PlainVhd> _images = [];
    private readonly HashSet<string> _names = [];
    private Stream? _rawRoot;

    private PlainChain()
    {
    }

    /// <summary>Leaf first, without a raw root.</summary>
    public IReadOnlyList<PlainVhd> Images => _images;

    public bool HasRawRoot => _rawRoot is not null;

    public long SectorCount => _images[0].SectorCount;

    public long Length => SectorCount * 512;

    /// <summary>Opens a file and its parents from the file system.</summary>
    /// <exception cref="PlainFormatException">Something cannot be read, or a parent is missing or another.</exception>
    public static PlainChain OpenFile(string path, PlainRules? rules = null) => Open(
        Path.GetFullPath(path),
        name => File.Exists(name) ? new FileStream(name, FileMode.Open, FileAccess.Read, FileShare.ReadWrite) : null,
        (child, name) => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(child)!, name)),
        rules);

    /// <summary>Opens one image that lies in memory, without parents.</summary>
    public static PlainChain OpenBytes(byte[] image, PlainRules? rules = null) =>
        OpenBytes("image", new Dictionary<string, byte[]> { ["image"] = image }, rules);

    /// <summary>Opens an image and its parents that lie in memory, by bare names.</summary>
    public static PlainChain OpenBytes(string name, IReadOnlyDictionary<string, byte[]> files, PlainRules? rules = null) => Open(
        name,
        wanted => files.TryGetValue(wanted, out var bytes) ? new MemoryStream(bytes, writable: false) : null,
        (_, wanted) => wanted[(wanted.LastIndexOf('/') + 1)..],
        rules);

    /// <summary>Opens an image and its parents.</summary>
    /// <param name="name">The leaf.</param>
    /// <param name="open">The storage of a name, or null where there is none. The chain owns what it returns.</param>
    /// <param name="combine">The full name for a child's name and a name that stands in it.</param>
    /// <param name="rules">How to read.</param>
    public static PlainChain Open(string name, Func<string, Stream?> open, Func<string, string, string> combine, PlainRules? rules = null)
    {
        rules ??= PlainRules.Default;
        var chain = new PlainChain();
        try
        {
            chain.Add(open(name) ?? throw new PlainFormatException($"no {name}"), rules);
            while (chain._images[^1].Type == 4 && !rules.IgnoreParents)
            {
                name = chain.AddParent(name, open, combine, rules);
                if (chain._rawRoot is not null)
                {
                    break;
                }
            }

            return chain;
        }
        catch
        {
            chain.Dispose();
            throw;
        }
    }

    /// <summary>A sector as the guest sees it.</summary>
    public byte[] ReadSector(long sector)
    {
        foreach (var image in _images)
        {
            if (sector >= image.SectorCount)
            {
                return new byte[512];
            }

            if (image.Has(sector))
            {
                return image.ReadSector(sector);
            }
        }

        return _rawRoot is null ? new byte[512] : PlainBytes.Read(_rawRoot, sector * 512, 512);
    }

    /// <summary>Bytes as the guest sees them, at any alignment.</summary>
    public byte[] Read(long offset, int count)
    {
        var bytes = new byte[count];
        var done = 0;
        while (done < count)
        {
            var sector = ReadSector((offset + done) / 512);
            var skip = (int)((offset + done) % 512);
            var run = Math.Min(512 - skip, count - done);
            Array.Copy(sector, skip, bytes, done, run);
            done += run;
        }

        return bytes;
    }

    /// <summary>The whole content; for small disks.</summary>
    public byte[] ReadAll() => Read(0, checked((int)Length));

    /// <summary>The SHA-256 of the whole content, in lower-case hex digits; for disks that can be read to the end in reasonable time.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (long sector = 0; sector < SectorCount; sector++)
        {
            hash.AppendData(ReadSector(sector));
        }

        return PlainBytes.Hex(hash.GetHashAndReset());
    }

    /// <summary>
    /// Ranges of sectors that some image may hold, by its table; every sector outside reads as zero. Only these need looking at in a huge disk.
    /// Ranges may overlap and come in no order.
    /// </summary>
    public IEnumerable<(long Sector, long Count)> PresentRanges()
    {
        foreach (var image in _images)
        {
            if (image.Type == 2)
            {
                yield return (0, Math.Min(SectorCount, image.SectorCount));
                continue;
            }

            for (long block = 0; block < image.BlockCount; block++)
            {
                if (image.BlockStart(block) >= 0)
                {
                    var first = block * (image.BlockSize / 512);
                    var end = Math.Min(SectorCount, first + (image.BlockSize / 512));
                    if (end > first)
                    {
                        yield return (first, end - first);
                    }
                }
            }
        }

        if (_rawRoot is not null)
        {
            yield return (0, Math.Min(SectorCount, (_rawRoot.Length + 511) / 512));
        }
    }

    public void Dispose()
    {
        foreach (var image in _images)
        {
            image.Dispose();
        }

        _rawRoot?.Dispose();
    }

    private PlainRules RulesOfNext(PlainRules rules) => _images.Count < rules.Footers.Count ? rules with { Footer = rules.Footers[_images.Count] } : rules;

    private void Add(Stream file, PlainRules rules)
    {
        try
        {
            _images.Add(PlainVhd.Open(file, RulesOfNext(rules)));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The first name that leads to a VHD of the right identifier, or to any file where the parent is raw; images of the chain are passed over.</summary>
    private string AddParent(string childName, Func<string, Stream?> open, Func<string, string, string> combine, PlainRules rules)
    {
        var child = _images[^1];
        _names.Add(childName);
        foreach (var name in child.ParentNames().Where(wanted => wanted.Length > 0).Select(wanted => combine(childName, wanted)))
        {
            if (_names.Contains(name) || open(name) is not { } file)
            {
                continue;
            }

            if (child.ParentId.All(b => b == 0))
            {
                _rawRoot = file;
                return name;
            }

            try
            {
                var parent = PlainVhd.Open(file, RulesOfNext(rules));
                _images.Add(parent);
                if (rules.IgnoreParentId || parent.UniqueId.SequenceEqual(child.ParentId))
                {
                    return name;
                }

                _images.Remove(parent);
            }
            catch (PlainFormatException)
            {
                // Another name may lead to the right one.
            }

            file.Dispose();
        }

        throw new PlainFormatException($"the parent of {childName} is missing");
    }
}
