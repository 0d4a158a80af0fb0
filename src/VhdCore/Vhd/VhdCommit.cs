using VhdCore.Layers;

namespace VhdCore.Vhd;

/// <summary>One commit's decision: what is written, and whether a flush must come first. The bytes are those of its beginning.</summary>
internal sealed class VhdCommit
{
    /// <summary>The storage must be flushed before <see cref="Writes"/>: they make payload or places reachable that may not be durable.</summary>
    public required bool NeedsBarrier { get; init; }

    /// <summary>Sectors of the table and of bitmaps, in any order.</summary>
    public List<Write> Writes { get; } = [];

    /// <summary>Places that nothing points at once this is durable.</summary>
    public required List<SlotPool.Freed> Freed { get; init; }

    /// <param name="Offset">Bytes from the file's start.</param>
    /// <param name="Bytes">Whole sectors, each of which may land or not.</param>
    internal readonly record struct Write(long Offset, byte[] Bytes);
}
