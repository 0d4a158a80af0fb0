using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Storvsp.Wire;

/// <summary>The ranges of a packet that names guest pages: behind the descriptor, before the data.</summary>
/// <param name="packet">A private copy of the whole packet.</param>
/// <param name="dataOffset">Where its data begins, inside the packet.</param>
internal readonly ref struct GpaDirectView(ReadOnlySpan<byte> packet, int dataOffset)
{
    private const int CountOffset = 20;
    private const int RangesOffset = 24;

    private readonly ReadOnlySpan<byte> _packet = packet[..dataOffset];

    /// <summary>There is room for the count at least.</summary>
    public bool IsWhole => _packet.Length >= RangesOffset;

    public uint RangeCount => ReadUInt32LittleEndian(_packet[CountOffset..]);

    /// <summary>Ranges of {u32 byte count, u32 byte offset, u64 page number[]}.</summary>
    public ReadOnlySpan<byte> Ranges => _packet[RangesOffset..];
}
