using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdCore.Simulation;

/// <summary>Which footer a reader trusts.</summary>
internal enum FooterTrust
{
    /// <summary>The copy at the start, as QEMU.</summary>
    Front,

    /// <summary>The one at the end, else the copy.</summary>
    Either,

    /// <summary>The one at the end and no other.</summary>
    End,
}

/// <summary>A reader of a VHD's bytes that shares no code with the library. Throws when the image is not sound.</summary>
internal sealed class CutReader
{
    private const int Sector = 512;
    private const uint Unused = uint.MaxValue;

    private readonly byte[] _file;
    private readonly int _blockSize;
    private readonly int _bitmapSize;
    private readonly long[] _blocks; // where each begins, with its bitmap; -1 for none

    public CutReader(byte[] file, FooterTrust trust)
    {
        _file = file;
        var footer = Footer(trust);
        Size = (int)ReadUInt64BigEndian(footer[48..]);
        IsDifferencing = ReadUInt32BigEndian(footer[60..]) == 4;
        var header = file.AsSpan((int)ReadUInt64BigEndian(footer[16..]), 1024);
        Require(header.StartsWith("cxsparse"u8) && Sum(header, 36) == ReadUInt32BigEndian(header[36..]), "no sound header");
        TableOffset = (int)ReadUInt64BigEndian(header[16..]);
        var entryCount = (int)ReadUInt32BigEndian(header[28..]);
        TableEnd = (TableOffset + (entryCount * 4) + Sector - 1) / Sector * Sector;
        _blockSize = (int)ReadUInt32BigEndian(header[32..]);
        _bitmapSize = Math.Max(Sector, _blockSize / Sector / 8);
        _blocks = new long[(Size + _blockSize - 1) / _blockSize];
        Require(TableEnd <= file.Length, "the table ends behind the file's end");
        ReadTable(trust == FooterTrust.End ? file.Length - Sector : file.Length);
    }

    public int Size { get; }

    public bool IsDifferencing { get; }

    public int TableOffset { get; }

    public int TableEnd { get; }

    public int BitmapSize => _bitmapSize;

    /// <summary>The disk's content over a parent's.</summary>
    /// <param name="parent">The parent's content; null in a dynamic disk.</param>
    /// <param name="honoursBitmaps">A clear bit is the parent's sector, or zeros; otherwise every sector of a block counts.</param>
    public byte[] Read(byte[]? parent, bool honoursBitmaps)
    {
        var content = new byte[Size];
        parent?.AsSpan(0, Math.Min(parent.Length, Size)).CopyTo(content);
        for (var block = 0; block < _blocks.Length; block++)
        {
            if (_blocks[block] < 0)
            {
                continue;
            }

            var start = (int)_blocks[block];
            var diskOffset = block * _blockSize;
            for (var i = 0; i < _blockSize / Sector && diskOffset + (i * Sector) < Size; i++)
            {
                if (!honoursBitmaps || (_file[start + (i / 8)] & (0x80 >> (i % 8))) != 0)
                {
                    _file.AsSpan(start + _bitmapSize + (i * Sector), Sector).CopyTo(content.AsSpan(diskOffset + (i * Sector)));
                }
            }
        }

        return content;
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new SimulationFailure(otherwise);
        }
    }

    private static bool IsFooter(ReadOnlySpan<byte> bytes) => bytes.StartsWith("conectix"u8) && Sum(bytes, 64) == ReadUInt32BigEndian(bytes[64..]);

    private static uint Sum(ReadOnlySpan<byte> bytes, int checksumOffset)
    {
        uint sum = 0;
        for (var i = 0; i < bytes.Length; i++)
        {
            sum += i >= checksumOffset && i < checksumOffset + 4 ? 0u : bytes[i];
        }

        return ~sum;
    }

    private ReadOnlySpan<byte> Footer(FooterTrust trust)
    {
        Require(_file.Length >= 2 * Sector, "the file has no room for a footer");
        ReadOnlySpan<byte> front = _file.AsSpan(0, Sector);
        ReadOnlySpan<byte> end = _file.AsSpan(_file.Length - Sector, Sector);
        if (trust != FooterTrust.Front && IsFooter(end))
        {
            return end;
        }

        Require(trust != FooterTrust.End, "no footer at the end");
        Require(IsFooter(front), "no footer's copy at the start");
        return front;
    }

    private void ReadTable(long end)
    {
        var size = _bitmapSize + _blockSize;
        for (var block = 0; block < _blocks.Length; block++)
        {
            var entry = ReadUInt32BigEndian(_file.AsSpan(TableOffset + (block * 4)));
            _blocks[block] = entry == Unused ? -1 : (long)entry * Sector;
            if (entry != Unused)
            {
                Require(_blocks[block] >= TableEnd, $"block {block} lies in the metadata");
                Require(_blocks[block] + size <= end, $"block {block} ends behind the end");
            }
        }

        var sorted = _blocks.Where(start => start >= 0).Order().ToArray();
        for (var i = 1; i < sorted.Length; i++)
        {
            Require(sorted[i] - sorted[i - 1] >= size, $"two blocks overlap at {sorted[i]}");
        }
    }
}
