namespace VhdCore.Testing.Independent;

/// <summary>A payload block as a test wants it.</summary>
/// <param name="State">As it goes into the table.</param>
/// <param name="Content">The block's bytes in the file, as many as there are; null for a block that is not in the file.</param>
internal sealed record PlainVhdxBlock(int State, byte[]? Content = null)
{
    /// <summary>For a partially present block: which sectors are here.</summary>
    public Func<long, bool> HasSector { get; init; } = _ => true;

    /// <summary>Bytes from the file's start, for an entry that is to point somewhere; otherwise the next free place.</summary>
    public ulong? Offset { get; init; }
}

/// <summary>Makes small VHDX images byte by byte, sharing no code with the library: any kind, state and sector size, with the layout that Windows uses.</summary>
internal sealed class PlainVhdxBuilder
{
    public const int MiB = 1 << 20;

    /// <summary>Bytes from the file's start to the log.</summary>
    public const long LogOffset = MiB;

    public static readonly byte[] NoId = new byte[16];

    public long DiskSize { get; init; } = 4 * MiB;

    public long BlockSize { get; init; } = MiB;

    public int SectorSize { get; init; } = 512;

    public int PhysicalSectorSize { get; init; } = 4096;

    public bool IsFixed { get; init; }

    /// <summary>Keys and values of the parent locator; a differencing disk when there are some.</summary>
    public List<(string Key, string Value)> Locator { get; init; } = [];

    public string LocatorType { get; init; } = "b04aefb7-d19e-4a81-b789-25b8e9445913";

    public string Creator { get; init; } = "Plain builder";

    public byte[] FileWriteId { get; init; } = PlainVhdxBytes.Identifier("00000001-0002-0003-0405-060708090a0b");

    public byte[] DataWriteId { get; init; } = PlainVhdxBytes.Identifier("10000001-0002-0003-0405-060708090a0b");

    public byte[] LogId { get; init; } = NoId;

    public long LogSize { get; init; } = MiB;

    public uint RegionsRequired { get; init; } = 1;

    /// <summary>Regions beside the two known ones: identifier, offset, length, required.</summary>
    public List<(string Id, ulong Offset, uint Length, uint Required)> ExtraRegions { get; init; } = [];

    /// <summary>Metadata items beside the known ones: identifier, flags, content.</summary>
    public List<(string Id, uint Flags, byte[] Content)> ExtraItems { get; init; } = [];

    /// <summary>Blocks by index; those left out are not present.</summary>
    public Dictionary<long, PlainVhdxBlock> Blocks { get; init; } = [];

    public long MetadataOffset => MiB + LogSize;

    public long BatOffset => MetadataOffset + MiB;

    public long DataOffset => BatOffset + (((EntryCount * 8) + MiB - 1) / MiB * MiB);

    public long BlockCount => (DiskSize + BlockSize - 1) / BlockSize;

    public long ChunkRatio => 8388608L * SectorSize / BlockSize;

    public long ChunkCount => (BlockCount + ChunkRatio - 1) / ChunkRatio;

    private bool HasParent => Locator.Count > 0;

    private long EntryCount => HasParent ? ChunkCount * (ChunkRatio + 1) : BlockCount + ((BlockCount - 1) / ChunkRatio);

    /// <summary>Where the entry of a payload block stands, in bytes.</summary>
    public long EntryOffset(long block) => BatOffset + ((block + (block / ChunkRatio)) * 8);

    /// <summary>Where the entry of a chunk's sector bitmap stands, in bytes.</summary>
    public long BitmapEntryOffset(long chunk) => BatOffset + ((((chunk + 1) * ChunkRatio) + chunk) * 8);

    /// <summary>The whole file.</summary>
    public byte[] Build()
    {
        var next = DataOffset;
        var entries = new Dictionary<long, ulong>();
        var contents = new List<(long Offset, byte[] Content)>();
        foreach (var (index, block) in Blocks.OrderBy(pair => pair.Key))
        {
            var offset = block.Offset ?? 0;
            if (block.Content is not null && block.Offset is null)
            {
                offset = (ulong)next;
                next += BlockSize;
            }

            if (block.Content is not null)
            {
                contents.Add(((long)offset, block.Content));
            }

            entries[EntryOffset(index)] = offset + (ulong)block.State;
        }

        foreach (var chunk in Blocks.Where(pair => pair.Value.State == 7 && HasParent).Select(pair => pair.Key / ChunkRatio).Distinct().Order().ToList())
        {
            entries[BitmapEntryOffset(chunk)] = (ulong)next + 6;
            contents.Add((next, Bitmap(chunk)));
            next += MiB;
        }

        var image = new byte[next];
        WriteHeaders(image);
        WriteRegionTables(image);
        WriteMetadata(image);
        foreach (var (offset, value) in entries)
        {
            PlainVhdxBytes.Number(image, offset, value, 8);
        }

        foreach (var (offset, content) in contents)
        {
            Array.Copy(content, 0, image, offset, content.Length);
        }

        return image;
    }

    /// <summary>The file up to the BAT, for disks whose tables are too large for an array.</summary>
    public byte[] BuildFront()
    {
        var image = new byte[BatOffset];
        WriteHeaders(image);
        WriteRegionTables(image);
        WriteMetadata(image);
        return image;
    }

    private byte[] Bitmap(long chunk)
    {
        var bitmap = new byte[MiB];
        var sectorsPerBlock = BlockSize / SectorSize;
        foreach (var (index, block) in Blocks)
        {
            for (long i = 0; block.State == 7 && index / ChunkRatio == chunk && i < sectorsPerBlock; i++)
            {
                if (block.HasSector(i))
                {
                    var bit = (index % ChunkRatio * sectorsPerBlock) + i;
                    bitmap[bit / 8] = (byte)(bitmap[bit / 8] | (1 << (int)(bit % 8)));
                }
            }
        }

        return bitmap;
    }

    private void WriteHeaders(byte[] image)
    {
        PlainWriting.Text(image, 0, "vhdxfile");
        Put(image, 8, PlainVhdxBytes.Text(Creator));
        for (var i = 0; i < 2; i++)
        {
            var at = 65536 * (i + 1);
            PlainWriting.Text(image, at, "head");
            PlainVhdxBytes.Number(image, at + 8, (ulong)(7 + i), 8);
            Put(image, at + 16, FileWriteId);
            Put(image, at + 32, DataWriteId);
            Put(image, at + 48, LogId);
            PlainVhdxBytes.Number(image, at + 66, 1, 2);
            PlainVhdxBytes.Number(image, at + 68, (ulong)LogSize, 4);
            PlainVhdxBytes.Number(image, at + 72, (ulong)LogOffset, 8);
            PlainVhdxBytes.Mend(image, at, 4096);
        }
    }

    private void WriteRegionTables(byte[] image)
    {
        List<(string Id, ulong Offset, uint Length, uint Required)> regions =
        [
            ("2dc27766-f623-4200-9d64-115e9bfd4a08", (ulong)BatOffset, (uint)(DataOffset - BatOffset), RegionsRequired),
            ("8b7ca206-4790-4b9a-b8fe-575f050f886e", (ulong)MetadataOffset, MiB, RegionsRequired),
            .. ExtraRegions,
        ];
        for (var i = 0; i < 2; i++)
        {
            var at = 196608 + (65536 * i);
            PlainWriting.Text(image, at, "regi");
            PlainVhdxBytes.Number(image, at + 8, (ulong)regions.Count, 4);
            for (var j = 0; j < regions.Count; j++)
            {
                var entry = at + 16 + (32 * j);
                Put(image, entry, PlainVhdxBytes.Identifier(regions[j].Id));
                PlainVhdxBytes.Number(image, entry + 16, regions[j].Offset, 8);
                PlainVhdxBytes.Number(image, entry + 24, regions[j].Length, 4);
                PlainVhdxBytes.Number(image, entry + 28, regions[j].Required, 4);
            }

            PlainVhdxBytes.Mend(image, at, 65536);
        }
    }

    private void WriteMetadata(byte[] image)
    {
        var parameters = new byte[8];
        PlainVhdxBytes.Number(parameters, 0, (ulong)BlockSize, 4);
        PlainVhdxBytes.Number(parameters, 4, (IsFixed ? 1UL : 0) + (HasParent ? 2UL : 0), 4);
        List<(string Id, uint Flags, byte[] Content)> items =
        [
            ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", 4, parameters),
            ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", 6, Bytes((ulong)DiskSize, 8)),
            ("8141bf1d-a96f-4709-ba47-f233a8faab5f", 6, Bytes((ulong)SectorSize, 4)),
            ("cda348c7-445d-4471-9cc9-e9885251c556", 6, Bytes((ulong)PhysicalSectorSize, 4)),
            ("beca12ab-b2e6-4523-93ef-c309e000c746", 6, PlainVhdxBytes.Identifier("20000001-0002-0003-0405-060708090a0b")),
            .. ExtraItems,
        ];
        if (HasParent)
        {
            items.Add(("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", 4, LocatorItem()));
        }

        var at = (int)MetadataOffset;
        PlainWriting.Text(image, at, "metadata");
        PlainVhdxBytes.Number(image, at + 10, (ulong)items.Count, 2);
        ulong offset = 65536;
        for (var i = 0; i < items.Count; i++)
        {
            var entry = at + 32 + (32 * i);
            var length = (ulong)items[i].Content.Length;
            Put(image, entry, PlainVhdxBytes.Identifier(items[i].Id));
            PlainVhdxBytes.Number(image, entry + 16, length == 0 ? 0 : offset, 4);
            PlainVhdxBytes.Number(image, entry + 20, length, 4);
            PlainVhdxBytes.Number(image, entry + 24, items[i].Flags, 4);
            Put(image, at + (int)offset, items[i].Content);
            offset += length;
        }
    }

    private byte[] LocatorItem()
    {
        var header = new byte[20 + (12 * Locator.Count)];
        Put(header, 0, PlainVhdxBytes.Identifier(LocatorType));
        PlainVhdxBytes.Number(header, 18, (ulong)Locator.Count, 2);
        List<byte> item = [.. header];
        for (var i = 0; i < Locator.Count; i++)
        {
            var entry = new byte[12];
            var key = PlainVhdxBytes.Text(Locator[i].Key);
            var value = PlainVhdxBytes.Text(Locator[i].Value);
            PlainVhdxBytes.Number(entry, 0, (ulong)item.Count, 4);
            PlainVhdxBytes.Number(entry, 8, (ulong)key.Length, 2);
            item.AddRange(key);
            PlainVhdxBytes.Number(entry, 4, (ulong)item.Count, 4);
            PlainVhdxBytes.Number(entry, 10, (ulong)value.Length, 2);
            item.AddRange(value);
            for (var j = 0; j < 12; j++)
            {
                item[20 + (12 * i) + j] = entry[j];
            }
        }

        return [.. item];
    }

    private static byte[] Bytes(ulong value, int count)
    {
        var bytes = new byte[count];
        PlainVhdxBytes.Number(bytes, 0, value, count);
        return bytes;
    }

    private static void Put(byte[] image, int at, byte[] bytes) => Array.Copy(bytes, 0, image, at, bytes.Length);
}
