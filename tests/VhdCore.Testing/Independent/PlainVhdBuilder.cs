using System.Text;

namespace VhdCore.Testing.Independent;

/// <summary>How different makers lay a VHD out.</summary>
internal enum PlainDialect
{
    /// <summary>Hyper-V: a child's table at 8192 between its locators, data on 4 KiB boundaries, the parent's full path in the header.</summary>
    Windows,

    /// <summary>QEMU: the table at 1536, blocks close behind each other, all bits of a block set.</summary>
    Qemu,

    /// <summary>XenServer's libvhd: the table at 1536, a batmap behind it, then locators; data on 4 KiB boundaries; sparse bitmaps.</summary>
    Xen,
}

/// <summary>Makes VHDs byte by byte, for tests: shares no code with the library. The same bytes each time.</summary>
internal sealed class PlainVhdBuilder
{
    private readonly SortedDictionary<long, byte[]> _sectors = [];

    /// <summary>The file's name, without a folder.</summary>
    public required string FileName { get; init; }

    /// <summary>Bytes of virtual disk.</summary>
    public required long Size { get; init; }

    public PlainDialect Dialect { get; init; }

    public bool IsFixed { get; init; }

    /// <summary>Bytes in a block.</summary>
    public int BlockSize { get; init; } = 2 << 20;

    /// <summary>The last byte of the identifier.</summary>
    public byte Id { get; init; } = 1;

    /// <summary>Sixteen bytes; null makes them of <see cref="Id"/>.</summary>
    public byte[]? UniqueId { get; init; }

    public uint Timestamp { get; init; } = 767_872_800; // 2024-05-01 10:00 UTC

    /// <summary>XenServer's mark of an inner image.</summary>
    public bool IsHidden { get; init; }

    public PlainVhdBuilder? Parent { get; init; }

    /// <summary>A raw file as parent.</summary>
    public string? RawParentName { get; init; }

    /// <summary>Entries in the table beyond those that the disk needs.</summary>
    public int SpareEntries { get; init; }

    /// <summary>The file has only as much of the last block as the disk has, as old programs left it.</summary>
    public bool CutsLastBlockShort { get; init; }

    /// <summary>512, or 511 for an image of the oldest kind.</summary>
    public int FooterLength { get; init; } = 512;

    private bool IsChild => Parent is not null || RawParentName is not null;

    private string? ParentName => Parent?.FileName ?? RawParentName;

    private int SectorsPerBlock => BlockSize / 512;

    private int BlockCount => (int)((Size + BlockSize - 1) / BlockSize);

    private byte[] Identifier => UniqueId ?? [0x76, 0x68, 0x64, 0x6B, 0x69, 0x74, 0x40, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, Id];

    /// <summary>Gives the image a sector of its own.</summary>
    public PlainVhdBuilder Put(long sector, byte[] content)
    {
        _sectors[sector] = content;
        return this;
    }

    /// <summary>Gives the image sectors that say in text who wrote them.</summary>
    public PlainVhdBuilder PutText(long firstSector, int count)
    {
        for (var sector = firstSector; sector < firstSector + count; sector++)
        {
            var line = Encoding.ASCII.GetBytes($"{Path.GetFileNameWithoutExtension(FileName)} wrote sector {sector:D8}.\n");
            var bytes = new byte[512];
            for (var i = 0; i < bytes.Length; i++)
            {
                bytes[i] = line[i % line.Length];
            }

            _sectors[sector] = bytes;
        }

        return this;
    }

    /// <summary>Gives the image sectors of zeros, which hide the parent's.</summary>
    public PlainVhdBuilder PutZeros(long firstSector, int count)
    {
        for (var sector = firstSector; sector < firstSector + count; sector++)
        {
            _sectors[sector] = new byte[512];
        }

        return this;
    }

    /// <summary>The disk's whole content without a raw parent's, by a model that knows no VHD.</summary>
    public byte[] Content()
    {
        var content = new byte[Size];
        if (Parent is not null)
        {
            var below = Parent.Content();
            Array.Copy(below, content, Math.Min(below.Length, content.Length));
        }

        foreach (var (sector, bytes) in _sectors)
        {
            bytes.CopyTo(content, sector * 512);
        }

        return content;
    }

    /// <summary>The file's bytes.</summary>
    public byte[] Build()
    {
        var footer = Footer();
        var file = new List<byte>();
        if (IsFixed)
        {
            file.AddRange(Content());
            file.AddRange(PlainBytes.Part(footer, 0, FooterLength));
            return [.. file];
        }

        var tableSize = Up((BlockCount + SpareEntries) * 4, 512);
        var tableOffset = Dialect == PlainDialect.Windows && IsChild ? 8192 : 1536;
        var batmapOffset = tableOffset + tableSize;
        var mapSize = Up((BlockCount + SpareEntries + 7) / 8, 512);
        var end = Dialect == PlainDialect.Xen ? batmapOffset + 512 + mapSize : tableOffset + tableSize;
        var locators = Locators(ref end);

        var table = new byte[tableSize];
        Array.Fill(table, (byte)0xFF, 0, Dialect == PlainDialect.Xen ? (BlockCount + SpareEntries) * 4 : tableSize); // libvhd leaves the padding zero
        var map = new byte[mapSize];
        var blocks = new List<(int Offset, int Block)>();
        var bitmapSize = Math.Max(512, Up(SectorsPerBlock / 8, 512));
        foreach (var block in _sectors.Keys.Select(sector => (int)(sector / SectorsPerBlock)).Distinct())
        {
            var data = Dialect == PlainDialect.Qemu ? end + bitmapSize : Up(end + bitmapSize, 4096);
            PlainWriting.Number(table, block * 4, (ulong)(data - bitmapSize) / 512, 4);
            blocks.Add((data - bitmapSize, block));
            end = data + (CutsLastBlockShort && block == BlockCount - 1 ? (int)(Size - ((long)block * BlockSize)) : BlockSize);
            if (SectorsOf(block).All(_sectors.ContainsKey))
            {
                map[block / 8] |= (byte)(0x80 >> (block % 8));
            }
        }

        var image = new byte[end + FooterLength];
        footer.CopyTo(image, 0);
        Header(tableOffset, locators).CopyTo(image, 512);
        table.CopyTo(image, tableOffset);
        if (Dialect == PlainDialect.Xen)
        {
            BatmapHeader(batmapOffset + 512, map).CopyTo(image, batmapOffset);
            map.CopyTo(image, batmapOffset + 512);
        }

        foreach (var locator in locators)
        {
            locator.Data.CopyTo(image, locator.Offset);
        }

        foreach (var (offset, block) in blocks)
        {
            PutBlock(image, offset, offset + bitmapSize, block);
        }

        PlainBytes.Part(footer, 0, FooterLength).CopyTo(image, end);
        return image;
    }

    private static int Up(int value, int unit) => (value + unit - 1) / unit * unit;

    private static byte[] BatmapHeader(int mapOffset, byte[] map)
    {
        var header = new byte[512];
        PlainWriting.Text(header, 0, "tdbatmap");
        PlainWriting.Number(header, 8, (ulong)mapOffset, 8);
        PlainWriting.Number(header, 16, (ulong)map.Length / 512, 4);
        PlainWriting.Number(header, 20, 0x0001_0002, 4);
        PlainWriting.Number(header, 24, PlainBytes.Checksum(map, map.Length), 4);
        return header;
    }

    private IEnumerable<long> SectorsOf(int block) => Enumerable.Range(0, SectorsPerBlock)
        .Select(i => ((long)block * SectorsPerBlock) + i)
        .Where(sector => sector * 512 < Size);

    private void PutBlock(byte[] image, int bitmapOffset, int dataOffset, int block)
    {
        for (var i = 0; i < SectorsPerBlock; i++)
        {
            var isOwn = _sectors.TryGetValue(((long)block * SectorsPerBlock) + i, out var bytes);
            if (isOwn || Dialect == PlainDialect.Qemu)
            {
                image[bitmapOffset + (i / 8)] |= (byte)(0x80 >> (i % 8));
            }

            bytes?.CopyTo(image, dataOffset + (i * 512));
        }
    }

    /// <summary>Lays the locators out; their place moves <paramref name="end"/> where that is behind the tables.</summary>
    private List<(string Code, int Space, int Offset, byte[] Data)> Locators(ref int end)
    {
        if (!IsChild)
        {
            return [];
        }

        var relative = Encoding.Unicode.GetBytes(".\\" + ParentName);
        if (Dialect == PlainDialect.Windows)
        {
            var absolute = Encoding.Unicode.GetBytes("C:\\Disks\\" + ParentName);
            var space = Math.Max(end, 12288);
            end = space + 4096;
            return [("W2ku", 4096, 4096, absolute), ("W2ru", 4096, space, relative)];
        }

        var first = end;
        end += 3 * 512;
        return
        [
            ("MacX", 512, first, Encoding.UTF8.GetBytes("file://./" + ParentName)),
            ("W2ku", 512, first + 512, relative),
            ("W2ru", 512, first + 1024, relative),
        ];
    }

    private byte[] Footer()
    {
        var (cylinders, heads, sectors) = PlainWriting.Geometry(Size / 512);
        var footer = new byte[512];
        PlainWriting.Text(footer, 0, "conectix");
        PlainWriting.Number(footer, 8, 2, 4);
        PlainWriting.Number(footer, 12, 0x0001_0000, 4);
        PlainWriting.Number(footer, 16, IsFixed ? ulong.MaxValue : 512, 8);
        PlainWriting.Number(footer, 24, Timestamp, 4);
        PlainWriting.Text(footer, 28, Dialect switch { PlainDialect.Windows => "win ", PlainDialect.Qemu => "qem2", _ => "tap\0" });
        PlainWriting.Number(footer, 32, Dialect switch { PlainDialect.Windows => 0x000A_0000u, PlainDialect.Qemu => 0x0005_0003, _ => 0x0001_0003 }, 4);
        PlainWriting.Text(footer, 36, Dialect == PlainDialect.Xen ? "\0\0\0\0" : "Wi2k");
        PlainWriting.Number(footer, 40, (ulong)Size, 8);
        PlainWriting.Number(footer, 48, (ulong)Size, 8);
        PlainWriting.Number(footer, 56, (ulong)cylinders, 2);
        PlainWriting.Number(footer, 58, (ulong)heads, 1);
        PlainWriting.Number(footer, 59, (ulong)sectors, 1);
        PlainWriting.Number(footer, 60, IsFixed ? 2UL : IsChild ? 4UL : 3, 4);
        Identifier.CopyTo(footer, 68);
        footer[85] = IsHidden ? (byte)1 : (byte)0;
        PlainWriting.Number(footer, 64, PlainBytes.Checksum(footer, 64), 4);
        return footer;
    }

    private byte[] Header(int tableOffset, List<(string Code, int Space, int Offset, byte[] Data)> locators)
    {
        var header = new byte[1024];
        PlainWriting.Text(header, 0, "cxsparse");
        PlainWriting.Number(header, 8, ulong.MaxValue, 8);
        PlainWriting.Number(header, 16, (ulong)tableOffset, 8);
        PlainWriting.Number(header, 24, 0x0001_0000, 4);
        PlainWriting.Number(header, 28, (ulong)(BlockCount + SpareEntries), 4);
        PlainWriting.Number(header, 32, (ulong)BlockSize, 4);
        if (IsChild)
        {
            (Parent?.Identifier ?? new byte[16]).CopyTo(header, 40);
            PlainWriting.Number(header, 56, Parent?.Timestamp ?? 0, 4);
            var name = Dialect == PlainDialect.Windows ? "C:\\Disks\\" + ParentName : ParentName!;
            Encoding.BigEndianUnicode.GetBytes(name).CopyTo(header, 64);
        }

        for (var i = 0; i < locators.Count; i++)
        {
            var entry = 576 + (i * 24);
            PlainWriting.Text(header, entry, locators[i].Code);
            PlainWriting.Number(header, entry + 4, (ulong)locators[i].Space, 4); // bytes, as Windows and libvhd have it
            PlainWriting.Number(header, entry + 8, (ulong)locators[i].Data.Length, 4);
            PlainWriting.Number(header, entry + 16, (ulong)locators[i].Offset, 8);
        }

        PlainWriting.Number(header, 36, PlainBytes.Checksum(header, 36), 4);
        return header;
    }
}
