using System.Text;

namespace VhdCore.Interop.Generators;

/// <summary>
/// Makes the chain of three in samples/images/xen-chain the way XenServer's libvhd lays such images out, with code of its own: footer copy, header,
/// table at 1536, batmap behind it, locators one sector each, block data on 4 KiB boundaries, footer. The same bytes each time.
/// </summary>
internal sealed class XenChainGenerator
{
    public const int VirtualSize = 16 << 20; // bytes

    /// <summary>Smaller than XenServer's 2 MiB, so that the files stay small; libvhd takes any power of two up to that.</summary>
    public const int BlockSize = 512 << 10; // bytes

    private const int SectorsPerBlock = BlockSize / 512;
    private const int BlockCount = VirtualSize / BlockSize;

    private static readonly byte[] Zeros = new byte[512];

    private readonly SortedDictionary<int, byte[]> _sectors = [];
    private readonly string _name;
    private readonly uint _timestamp;
    private readonly bool _hidden;
    private readonly XenChainGenerator? _parent;

    private XenChainGenerator(string name, byte id, uint timestamp, bool hidden, XenChainGenerator? parent)
    {
        _name = name;
        _timestamp = timestamp;
        _hidden = hidden;
        _parent = parent;
        UniqueId = [0x76, 0x68, 0x64, 0x6B, 0x69, 0x74, 0x40, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, id];
    }

    /// <summary>The file's name, without a folder.</summary>
    public string FileName => _name + ".vhd";

    public byte[] UniqueId { get; }

    /// <summary>The three images, base first.</summary>
    public static IReadOnlyList<XenChainGenerator> Make()
    {
        // Seconds since 2000-01-01: 2024-05-01 10:00, 11:00 and 12:00 UTC.
        var root = new XenChainGenerator("base", 1, 767_872_800, hidden: true, null);
        root.Fill(0, 0, SectorsPerBlock); // all bits: the batmap says so too
        root.Fill(1, 0, 128);
        root.Fill(9, 1000, 24);

        var snapshot = new XenChainGenerator("snap", 2, 767_876_400, hidden: true, root);
        snapshot.Fill(0, 8, 8);
        snapshot.Fill(0, 100, 4);
        snapshot.Fill(5, 0, 3);
        snapshot.Fill(5, 511, 10);
        snapshot.Clear(9, 1000, 8); // zeros that hide the base's text

        var leaf = new XenChainGenerator("leaf", 3, 767_880_000, hidden: false, snapshot);
        leaf.Fill(0, 12, 8); // over the snapshot's sectors and the base's
        leaf.Fill(5, 515, 1);
        leaf.Fill(12, 0, SectorsPerBlock);
        leaf.Fill(BlockCount - 1, SectorsPerBlock - 8, 8);
        return [root, snapshot, leaf];
    }

    /// <summary>The file's bytes.</summary>
    public byte[] Image()
    {
        var metadata = new List<byte[]>();
        var batmapOffset = 1536 + 512;
        var locators = Locators();
        var metadataSectors = 3 + 1 + 2 + locators.Count; // footer and header, table, batmap's header and map, locators

        var table = new byte[512];
        Array.Fill(table, (byte)0xFF, 0, BlockCount * 4); // libvhd leaves the rest of the sector zero
        var map = new byte[512];
        var blocks = new List<(int FileSector, int Block)>();
        var end = metadataSectors;
        foreach (var block in _sectors.Keys.Select(sector => sector / SectorsPerBlock).Distinct())
        {
            var bitmapSector = ((end + 8) / 8 * 8) - 1; // data on the next multiple of 4 KiB
            PutNumber(table, block * 4, (ulong)bitmapSector, 4);
            if (Enumerable.Range(block * SectorsPerBlock, SectorsPerBlock).All(_sectors.ContainsKey))
            {
                map[block / 8] |= (byte)(0x80 >> (block % 8));
            }

            blocks.Add((bitmapSector, block));
            end = bitmapSector + 1 + SectorsPerBlock;
        }

        var footer = Footer();
        metadata.Add(footer);
        metadata.Add(Header(locators.Select(locator => locator.Length).ToArray()));
        metadata.Add(table);
        metadata.Add(BatmapHeader(batmapOffset + 512, map));
        metadata.Add(map);
        metadata.AddRange(locators.Select(locator => Padded(locator, 512)));

        var image = new byte[(end + 1) * 512];
        metadata.SelectMany(part => part).ToArray().CopyTo(image, 0);
        foreach (var (fileSector, block) in blocks)
        {
            PutBlock(image, fileSector, block);
        }

        footer.CopyTo(image, end * 512);
        return image;
    }

    /// <summary>The disk's whole content, by a model that knows no VHD.</summary>
    public byte[] Content()
    {
        var content = _parent?.Content() ?? new byte[VirtualSize];
        foreach (var (sector, bytes) in _sectors)
        {
            bytes.CopyTo(content, sector * 512);
        }

        return content;
    }

    private static void PutNumber(byte[] bytes, int offset, ulong value, int count)
    {
        for (var i = count - 1; i >= 0; i--)
        {
            bytes[offset + i] = (byte)value;
            value >>= 8;
        }
    }

    private static void PutText(byte[] bytes, int offset, string text) => Encoding.Latin1.GetBytes(text).CopyTo(bytes, offset);

    private static void PutChecksum(byte[] bytes, int offset, byte[] over)
    {
        uint sum = 0;
        foreach (var b in over)
        {
            sum += b;
        }

        PutNumber(bytes, offset, ~sum, 4);
    }

    private static byte[] Padded(byte[] bytes, int size)
    {
        var padded = new byte[size];
        bytes.CopyTo(padded, 0);
        return padded;
    }

    private static byte[] BatmapHeader(int mapOffset, byte[] map)
    {
        var header = new byte[512];
        PutText(header, 0, "tdbatmap");
        PutNumber(header, 8, (ulong)mapOffset, 8);
        PutNumber(header, 16, 1, 4); // sectors
        PutNumber(header, 20, 0x0001_0002, 4);
        PutChecksum(header, 24, map);
        return header;
    }

    private void Fill(int block, int firstSector, int count)
    {
        for (var sector = (block * SectorsPerBlock) + firstSector; count > 0; sector++, count--)
        {
            var line = Encoding.ASCII.GetBytes($"{_name} wrote sector {sector:D8}.\n");
            var bytes = new byte[512];
            for (var i = 0; i < bytes.Length; i++)
            {
                bytes[i] = line[i % line.Length];
            }

            _sectors[sector] = bytes;
        }
    }

    private void Clear(int block, int firstSector, int count)
    {
        for (var i = 0; i < count; i++)
        {
            _sectors[(block * SectorsPerBlock) + firstSector + i] = Zeros;
        }
    }

    private List<byte[]> Locators()
    {
        if (_parent is null)
        {
            return [];
        }

        var windowsName = Encoding.Unicode.GetBytes(".\\" + _parent.FileName);
        return [Encoding.ASCII.GetBytes("file://./" + _parent.FileName), windowsName, windowsName]; // MacX, W2ku, W2ru
    }

    private byte[] Footer()
    {
        var footer = new byte[512];
        PutText(footer, 0, "conectix");
        PutNumber(footer, 8, 2, 4);
        PutNumber(footer, 12, 0x0001_0000, 4);
        PutNumber(footer, 16, 512, 8);
        PutNumber(footer, 24, _timestamp, 4);
        PutText(footer, 28, "tap\0");
        PutNumber(footer, 32, 0x0001_0003, 4);
        PutNumber(footer, 40, VirtualSize, 8);
        PutNumber(footer, 48, VirtualSize, 8);
        PutNumber(footer, 56, 481, 2); // the specification's geometry for 16 MiB
        PutNumber(footer, 58, 4, 1);
        PutNumber(footer, 59, 17, 1);
        PutNumber(footer, 60, _parent is null ? 3UL : 4, 4);
        UniqueId.CopyTo(footer, 68);
        footer[85] = _hidden ? (byte)1 : (byte)0;
        PutChecksum(footer, 64, footer);
        return footer;
    }

    private byte[] Header(int[] locatorLengths)
    {
        string[] codes = ["MacX", "W2ku", "W2ru"];
        var header = new byte[1024];
        PutText(header, 0, "cxsparse");
        PutNumber(header, 8, ulong.MaxValue, 8);
        PutNumber(header, 16, 1536, 8);
        PutNumber(header, 24, 0x0001_0000, 4);
        PutNumber(header, 28, BlockCount, 4);
        PutNumber(header, 32, BlockSize, 4);
        if (_parent is not null)
        {
            _parent.UniqueId.CopyTo(header, 40);
            PutNumber(header, 56, _parent._timestamp, 4);
            Encoding.BigEndianUnicode.GetBytes(_parent.FileName).CopyTo(header, 64);
        }

        for (var i = 0; i < locatorLengths.Length; i++)
        {
            var entry = 576 + (i * 24);
            PutText(header, entry, codes[i]);
            PutNumber(header, entry + 4, 512, 4); // bytes here, where the specification has sectors
            PutNumber(header, entry + 8, (ulong)locatorLengths[i], 4);
            PutNumber(header, entry + 16, (ulong)(3072 + (i * 512)), 8);
        }

        PutChecksum(header, 36, header);
        return header;
    }

    private void PutBlock(byte[] image, int fileSector, int block)
    {
        for (var i = 0; i < SectorsPerBlock; i++)
        {
            if (_sectors.TryGetValue((block * SectorsPerBlock) + i, out var bytes))
            {
                image[(fileSector * 512) + (i / 8)] |= (byte)(0x80 >> (i % 8));
                bytes.CopyTo(image, (fileSector + 1 + i) * 512);
            }
        }
    }
}
