using System.Buffers.Binary;

namespace VhdCore.Vhdx;

/// <summary>The parent locator item: keys and values that lead to the parent ([MS-VHDX] §2.6.2.6).</summary>
internal readonly ref struct VhdxParentLocatorView(ReadOnlySpan<byte> bytes)
{
    public const int HeaderSize = 20; // bytes
    public const int EntrySize = 12; // bytes

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public Guid LocatorType => new(_bytes[..16], bigEndian: false);
    public ushort KeyValueCount => BinaryPrimitives.ReadUInt16LittleEndian(_bytes[18..]);

    /// <summary>All entries lie inside the item.</summary>
    public bool HasAllEntries => _bytes.Length >= HeaderSize + (KeyValueCount * EntrySize);

    /// <summary>A key and its value ([MS-VHDX] §2.6.2.6.2).</summary>
    /// <returns>False when the entry points outside the item, or to nothing.</returns>
    public bool TryGetEntry(int index, out string key, out string value)
    {
        var entry = _bytes.Slice(HeaderSize + (index * EntrySize), EntrySize);
        value = "";
        return TryGetText(BinaryPrimitives.ReadUInt32LittleEndian(entry), BinaryPrimitives.ReadUInt16LittleEndian(entry[8..]), out key)
            && TryGetText(BinaryPrimitives.ReadUInt32LittleEndian(entry[4..]), BinaryPrimitives.ReadUInt16LittleEndian(entry[10..]), out value);
    }

    /// <summary>A key and its value are as long as the entry says: no NUL in them or behind them, and no half character.</summary>
    public bool IsExact(int index, string key, string value)
    {
        var entry = _bytes.Slice(HeaderSize + (index * EntrySize), EntrySize);
        return BinaryPrimitives.ReadUInt16LittleEndian(entry[8..]) == key.Length * sizeof(char)
            && BinaryPrimitives.ReadUInt16LittleEndian(entry[10..]) == value.Length * sizeof(char);
    }

    private bool TryGetText(uint offset, ushort length, out string text)
    {
        text = "";
        if (offset == 0 || length == 0 || offset > _bytes.Length || length > _bytes.Length - offset)
        {
            return false;
        }

        text = VhdxText.FromUtf16(_bytes.Slice((int)offset, length));
        return true;
    }
}
