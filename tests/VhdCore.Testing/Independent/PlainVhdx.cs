namespace VhdCore.Testing.Independent;

/// <summary>Where an image says that a sector is.</summary>
internal enum PlainVhdxPlace
{
    Zero,
    File,
    Parent,
}

/// <summary>
/// One VHDX file, read by a second reader that shares no code with the library: byte arrays and a stream, one sector at a time, every table entry
/// fetched when it is asked for, and a dirty log applied in memory. Nothing here refers to the library's types.
/// </summary>
/// <remarks>Not thread-safe. The stream is this object's.</remarks>
internal sealed class PlainVhdx : IDisposable
{
    private readonly Stream _file;
    private readonly List<(long Offset, long Length, byte[]? Content)> _updates = [];
    private readonly long _length;
    private readonly long _batOffset;
    private readonly long _batEntries;

    private PlainVhdx(Stream file)
    {
        _file = file;
        _length = file.Length;
        if (!PlainBytes.HasText(PlainBytes.Read(file, 0, 8), 0, "vhdxfile"))
        {
            throw new PlainFormatException("no signature");
        }

        var header = CurrentHeader();
        DataWriteId = PlainBytes.Part(header, 32, 16);
        if (header[48..64].Any(value => value != 0))
        {
            _length = ReadLog(header);
        }

        var (bat, metadata) = Regions();
        _batOffset = bat.Offset;
        _batEntries = bat.Length / 8;
        var items = Items(metadata.Offset);
        var parameters = items["caa16737-fa36-4d43-b3b6-33f0aa44e76b"];
        BlockSize = (long)PlainVhdxBytes.Number(parameters, 0, 4);
        HasParent = (parameters[4] & 2) != 0;
        IsFixed = (parameters[4] & 1) != 0;
        DiskSize = (long)PlainVhdxBytes.Number(items["2fa54224-cd1b-4876-b211-5dbed83bf4b8"], 0, 8);
        SectorSize = (int)PlainVhdxBytes.Number(items["8141bf1d-a96f-4709-ba47-f233a8faab5f"], 0, 4);
        if (HasParent)
        {
            ReadLocator(items["a8d35f2d-b30b-454d-abf7-d3d84834ab0c"]);
        }
    }

    public long DiskSize { get; }

    public long BlockSize { get; }

    public int SectorSize { get; }

    public bool HasParent { get; }

    public bool IsFixed { get; }

    public long SectorCount => DiskSize / SectorSize;

    public long BlockCount => (DiskSize + BlockSize - 1) / BlockSize;

    public long SectorsPerBlock => BlockSize / SectorSize;

    /// <summary>What children name this image by.</summary>
    public byte[] DataWriteId { get; }

    /// <summary>Bytes of the file, after its log was applied.</summary>
    public long Length => _length;

    /// <summary>Entries of the log that were applied.</summary>
    public int ReplayedEntries { get; private set; }

    public Dictionary<string, string> Locator { get; } = [];

    private long ChunkRatio => 8388608L * SectorSize / BlockSize;

    public static PlainVhdx Open(Stream file) => new(file);

    /// <summary>A payload block's state and where it lies.</summary>
    public (int State, long Offset) Block(long block)
    {
        var entry = Entry(block + (block / ChunkRatio));
        return ((int)(entry % 8), (long)(entry / 1048576) * 1048576);
    }

    /// <summary>The state of a chunk's sector bitmap block, and where it lies.</summary>
    public (int State, long Offset) BitmapBlock(long chunk)
    {
        var entry = Entry(((chunk + 1) * ChunkRatio) + chunk);
        return ((int)(entry % 8), (long)(entry / 1048576) * 1048576);
    }

    public PlainVhdxPlace Where(long sector)
    {
        var block = sector / SectorsPerBlock;
        switch (Block(block).State)
        {
            case 0:
                return HasParent ? PlainVhdxPlace.Parent : PlainVhdxPlace.Zero;

            case 1 or 2 or 3 or 5:
                return PlainVhdxPlace.Zero;

            case 6:
                return PlainVhdxPlace.File;

            case 7 when HasParent:
                var chunk = block / ChunkRatio;
                var bitmap = Entry(((chunk + 1) * ChunkRatio) + chunk);
                if (bitmap % 8 != 6)
                {
                    throw new PlainFormatException($"block {block} needs a sector bitmap, and there is none");
                }

                var bit = sector - (chunk * 8388608);
                var value = ReadFile(((long)(bitmap / 1048576) * 1048576) + (bit / 8), 1)[0];
                return (value >> (int)(bit % 8)) % 2 == 1 ? PlainVhdxPlace.File : PlainVhdxPlace.Parent;

            default:
                throw new PlainFormatException($"block {block} has a state that it must not have");
        }
    }

    /// <summary>Where a sector lies that is in the file.</summary>
    public long FileOffset(long sector) => Block(sector / SectorsPerBlock).Offset + (sector % SectorsPerBlock * SectorSize);

    /// <summary>A sector that is in the file.</summary>
    public byte[] ReadSector(long sector) => ReadFile(FileOffset(sector), SectorSize);

    public void Dispose() => _file.Dispose();

    private byte[] CurrentHeader()
    {
        byte[]? best = null;
        foreach (var offset in new[] { 65536, 131072 })
        {
            var header = PlainBytes.Read(_file, offset, 4096);
            if (PlainBytes.HasText(header, 0, "head") && PlainVhdxBytes.Checksum(header, 4) == PlainVhdxBytes.Number(header, 4, 4)
                && (best is null || PlainVhdxBytes.Number(header, 8, 8) > PlainVhdxBytes.Number(best, 8, 8)))
            {
                best = header;
            }
        }

        return best ?? throw new PlainFormatException("no valid header");
    }

    private long ReadLog(byte[] header)
    {
        var log = PlainBytes.Read(_file, (long)PlainVhdxBytes.Number(header, 72, 8), (int)PlainVhdxBytes.Number(header, 68, 4));
        var sequence = PlainVhdxLog.ActiveSequence(log, PlainBytes.Part(header, 48, 16));
        if (sequence.Count == 0)
        {
            throw new PlainFormatException("the log has no active sequence");
        }

        if ((ulong)_file.Length < sequence[^1].Flushed)
        {
            throw new PlainFormatException("the file was cut short");
        }

        ReplayedEntries = sequence.Count;
        _updates.AddRange(PlainVhdxLog.Updates(sequence));
        var end = Math.Max(_file.Length, (long)sequence[^1].Last);
        return _updates.Count == 0 ? end : Math.Max(end, _updates.Max(update => update.Offset + update.Length));
    }

    private ((long Offset, long Length) Bat, (long Offset, long Length) Metadata) Regions()
    {
        foreach (var offset in new[] { 196608, 262144 })
        {
            var table = ReadFile(offset, 65536);
            if (!PlainBytes.HasText(table, 0, "regi") || PlainVhdxBytes.Checksum(table, 4) != PlainVhdxBytes.Number(table, 4, 4))
            {
                continue;
            }

            (long, long)? bat = null, metadata = null;
            for (var i = 0; i < (int)PlainVhdxBytes.Number(table, 8, 4); i++)
            {
                var at = 16 + (i * 32);
                var place = ((long)PlainVhdxBytes.Number(table, at + 16, 8), (long)PlainVhdxBytes.Number(table, at + 24, 4));
                if (PlainBytes.Part(table, at, 16).SequenceEqual(PlainVhdxBytes.Identifier("2dc27766-f623-4200-9d64-115e9bfd4a08")))
                {
                    bat = place;
                }
                else if (PlainBytes.Part(table, at, 16).SequenceEqual(PlainVhdxBytes.Identifier("8b7ca206-4790-4b9a-b8fe-575f050f886e")))
                {
                    metadata = place;
                }
            }

            return (bat ?? throw new PlainFormatException("no BAT"), metadata ?? throw new PlainFormatException("no metadata region"));
        }

        throw new PlainFormatException("no valid region table");
    }

    private Dictionary<string, byte[]> Items(long region)
    {
        var table = ReadFile(region, 65536);
        if (!PlainBytes.HasText(table, 0, "metadata"))
        {
            throw new PlainFormatException("no metadata table");
        }

        var items = new Dictionary<string, byte[]>();
        for (var i = 0; i < (int)PlainVhdxBytes.Number(table, 10, 2); i++)
        {
            var at = 32 + (i * 32);
            var offset = (long)PlainVhdxBytes.Number(table, at + 16, 4);
            items[new Guid(PlainBytes.Part(table, at, 16)).ToString()] = ReadFile(region + offset, (int)PlainVhdxBytes.Number(table, at + 20, 4));
        }

        return items;
    }

    private void ReadLocator(byte[] item)
    {
        for (var i = 0; i < (int)PlainVhdxBytes.Number(item, 18, 2); i++)
        {
            var at = 20 + (i * 12);
            var key = PlainVhdxBytes.Text(item, (long)PlainVhdxBytes.Number(item, at, 4), (int)PlainVhdxBytes.Number(item, at + 8, 2));
            Locator[key] = PlainVhdxBytes.Text(item, (long)PlainVhdxBytes.Number(item, at + 4, 4), (int)PlainVhdxBytes.Number(item, at + 10, 2));
        }
    }

    private ulong Entry(long index)
    {
        if (index >= _batEntries)
        {
            throw new PlainFormatException($"the BAT has no entry {index}");
        }

        return PlainVhdxBytes.Number(ReadFile(_batOffset + (index * 8), 8), 0, 8);
    }

    // As the file would be after replay: the stream's bytes, then every update of the log over them, in order.
    private byte[] ReadFile(long offset, int count)
    {
        if (offset >= _length)
        {
            throw new PlainFormatException($"byte {offset} lies behind the file's end");
        }

        var bytes = PlainBytes.Read(_file, offset, count);
        foreach (var (start, length, content) in _updates)
        {
            var from = Math.Max(start, offset);
            var to = Math.Min(start + length, offset + count);
            for (var at = from; at < to; at++)
            {
                bytes[at - offset] = content is null ? (byte)0 : content[at - start];
            }
        }

        return bytes;
    }
}
