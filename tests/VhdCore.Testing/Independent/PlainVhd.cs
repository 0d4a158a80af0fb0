namespace VhdCore.Testing.Independent;

/// <summary>
/// One VHD file, read by a second reader that shares no code with the library: byte arrays and a stream, one sector at a time, every table
/// entry fetched from the file when it is asked for. Nothing here refers to the library's types.
/// </summary>
/// <remarks>Not thread-safe. The stream is this object's.</remarks>
internal sealed class PlainVhd : IDisposable
{
    private const uint Unused = 0xFFFFFFFF;

    private readonly Stream _file;
    private readonly PlainRules _rules;
    private readonly byte[] _footer;
    private readonly byte[] _header = [];
    private readonly long _tableOffset;
    private readonly long _bitmapSectors;
    private readonly long _dataEnd; // where the end footer begins: what it cuts off a block is zero
    private long _bitmapBlock = -1;
    private byte[] _bitmap = [];

    private PlainVhd(Stream file, PlainRules rules)
    {
        _file = file;
        _rules = rules;
        _footer = FindFooter(out _dataEnd);
        Type = (int)PlainBytes.Number(_footer, 60, 4);
        SectorCount = FindSize();
        if (Type == 2)
        {
            return;
        }

        if (Type is not (3 or 4))
        {
            throw new PlainFormatException($"disk type {Type}");
        }

        var headerOffset = PlainBytes.Number(_footer, 16, 8);
        if (headerOffset > (ulong)file.Length || (ulong)file.Length - headerOffset < 1024)
        {
            throw new PlainFormatException("the header lies behind the file's end");
        }

        _header = PlainBytes.Read(file, (long)headerOffset, 1024);
        if (!PlainBytes.HasText(_header, 0, "cxsparse"))
        {
            throw new PlainFormatException("no header where the footer says");
        }

        if (!rules.IgnoreHeaderChecksum && PlainBytes.Checksum(_header, 36) != PlainBytes.Number(_header, 36, 4))
        {
            throw new PlainFormatException("the header's checksum is wrong");
        }

        var tableOffset = PlainBytes.Number(_header, 16, 8);
        TableEntries = (long)PlainBytes.Number(_header, 28, 4);
        BlockSize = (long)PlainBytes.Number(_header, 32, 4);
        if (BlockSize < 512 || !IsPowerOfTwo(BlockSize))
        {
            throw new PlainFormatException($"block size {BlockSize}");
        }

        if (tableOffset > (ulong)file.Length)
        {
            throw new PlainFormatException("the table lies behind the file's end");
        }

        _tableOffset = (long)tableOffset;
        BlockCount = ((SectorCount * 512) + BlockSize - 1) / BlockSize;
        if (BlockCount > TableEntries)
        {
            throw new PlainFormatException("the table is too small for the disk");
        }

        if (BlockCount * 4 > file.Length - _tableOffset)
        {
            throw new PlainFormatException("the table ends behind the file's end");
        }

        var bitmapBytes = BlockSize / 512 / 8;
        _bitmapSectors = Math.Max(1, (bitmapBytes + 511) / 512);
    }

    /// <summary>2 fixed, 3 dynamic, 4 differencing.</summary>
    public int Type { get; }

    public long SectorCount { get; }

    /// <summary>Bytes; 0 in a fixed disk.</summary>
    public long BlockSize { get; }

    /// <summary>Blocks that the disk needs.</summary>
    public long BlockCount { get; }

    /// <summary>Entries that the table has.</summary>
    public long TableEntries { get; }

    public byte[] UniqueId => PlainBytes.Part(_footer, 68, 16);

    public byte[] ParentId => PlainBytes.Part(_header, 40, 16);

    public string Creator => new(PlainBytes.Part(_footer, 28, 4).Select(b => (char)b).ToArray());

    public bool IsHidden => _footer[85] != 0;

    public bool HasGoodFooterAtTheEnd => IsGoodFooter(PlainBytes.Read(_file, _file.Length - 512, 512));

    /// <summary>Opens one file, without its parents.</summary>
    /// <exception cref="PlainFormatException">It is no VHD, or none that can be read.</exception>
    public static PlainVhd Open(Stream file, PlainRules rules) => new(file, rules);

    /// <summary>The names that a child has for its parent, in the order to try: locators as they stand, then the name in the header.</summary>
    public IEnumerable<string> ParentNames() => PlainLocators.Names(_file, _header);

    /// <summary>Whether the file has this sector itself; otherwise it is the parent's, or zero where there is none.</summary>
    public bool Has(long sector)
    {
        if (sector >= SectorCount)
        {
            return false;
        }

        if (Type == 2)
        {
            return true;
        }

        var block = sector / (BlockSize / 512);
        var start = BlockStart(block);
        if (start < 0)
        {
            return false;
        }

        return _rules.Bitmaps == PlainBitmapRule.Ignore || Bit(block, start, sector % (BlockSize / 512));
    }

    /// <summary>The sector's bytes, when <see cref="Has"/> says so.</summary>
    public byte[] ReadSector(long sector)
    {
        if (Type == 2)
        {
            return PlainBytes.Read(_file, sector * 512, 512);
        }

        var start = BlockStart(sector / (BlockSize / 512));
        var offset = start + (_bitmapSectors * 512) + (sector % (BlockSize / 512) * 512);
        var bytes = PlainBytes.Read(_file, offset, 512);
        for (var i = Math.Max(0, _dataEnd - offset); i < 512; i++)
        {
            bytes[i] = 0;
        }

        return bytes;
    }

    /// <summary>Where a block's bitmap begins in the file, in bytes; -1 for a block that is not there.</summary>
    public long BlockStart(long block)
    {
        var entry = PlainBytes.Number(PlainBytes.Read(_file, _tableOffset + (block * 4), 4), 0, 4);
        if (entry == Unused)
        {
            return -1;
        }

        var start = (long)entry * 512;
        if (start + (_bitmapSectors * 512) > _dataEnd)
        {
            throw new PlainFormatException($"block {block} lies behind the file's end");
        }

        return start;
    }

    public void Dispose() => _file.Dispose();

    private static bool IsPowerOfTwo(long value)
    {
        while (value > 1 && value % 2 == 0)
        {
            value /= 2;
        }

        return value == 1;
    }

    private bool Bit(long block, long start, long sectorInBlock)
    {
        if (_bitmapBlock != block)
        {
            _bitmap = PlainBytes.Read(_file, start, (int)(_bitmapSectors * 512));
            _bitmapBlock = block;
        }

        var mask = 128;
        for (var i = 0; i < sectorInBlock % 8; i++)
        {
            mask /= 2;
        }

        var bits = _bitmap[sectorInBlock / 8];
        return _rules.Bitmaps == PlainBitmapRule.RestOfByte ? bits >= mask : (bits & mask) != 0;
    }

    private byte[] FindFooter(out long dataEnd)
    {
        dataEnd = _file.Length;
        var front = PlainBytes.Read(_file, 0, 512);
        var end = PlainBytes.Read(_file, _file.Length - 512, 512);
        if (_rules.Footer == PlainFooterRule.FrontThenFixedEnd)
        {
            if (PlainBytes.HasText(front, 0, "conectix"))
            {
                return IsGoodFooter(front) ? front : throw new PlainFormatException("the footer's copy is wrong");
            }

            return IsGoodFooter(end) && PlainBytes.Number(end, 60, 4) == 2 ? end : throw new PlainFormatException("no footer");
        }

        if (IsGoodFooter(end))
        {
            dataEnd = _file.Length - 512;
            return end;
        }

        if (_rules.Footer == PlainFooterRule.StrictEnd)
        {
            throw new PlainFormatException("no footer at the end");
        }

        var shortEnd = PlainBytes.Read(_file, _file.Length - 511, 512);
        if (IsGoodFooter(shortEnd))
        {
            dataEnd = _file.Length - 511;
            return shortEnd;
        }

        return IsGoodFooter(front) ? front : throw new PlainFormatException("no footer");
    }

    private bool IsGoodFooter(byte[] footer) =>
        PlainBytes.HasText(footer, 0, "conectix") &&
        (_rules.IgnoreFooterChecksum || PlainBytes.Checksum(footer, 64) == PlainBytes.Number(footer, 64, 4));

    private long FindSize()
    {
        var size = PlainBytes.Number(_footer, 48, 8);
        var cylinders = PlainBytes.Number(_footer, 56, 2);
        var heads = PlainBytes.Number(_footer, 58, 1);
        var sectors = PlainBytes.Number(_footer, 59, 1);
        var geometry = cylinders * heads * sectors;
        if (_rules.Size == PlainSizeRule.ByCreator && Creator is "vpc " or "qemu" && geometry != 0 && geometry != 65535UL * 16 * 255)
        {
            size = geometry * 512;
        }

        if (size < 512 || size / 512 > 1UL << 53)
        {
            throw new PlainFormatException($"a disk of {size} bytes");
        }

        if (Type == 2 && (_file.Length < 511 || size > (ulong)(_file.Length - 511)))
        {
            throw new PlainFormatException("the file is shorter than the fixed disk in it");
        }

        return (long)(size / 512);
    }
}
