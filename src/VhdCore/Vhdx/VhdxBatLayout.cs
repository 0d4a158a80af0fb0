using System.Numerics;

namespace VhdCore.Vhdx;

/// <summary>
/// Which entry of the BAT is whose: each chunk's payload blocks, then the entry of its sector bitmap block ([MS-VHDX] §2.4 and §2.5).
/// </summary>
internal readonly record struct VhdxBatLayout
{
    private readonly int _chunkShift; // log2 of payload blocks in a chunk

    /// <summary>The layout of a disk whose parameters have been judged.</summary>
    /// <param name="diskSize">Bytes of disk, at least 1.</param>
    /// <param name="blockSize">Bytes in a payload block, a power of two of 1 to 256 MiB.</param>
    /// <param name="logicalSectorSize">Bytes: 512 or 4096.</param>
    /// <param name="isDifferencing">The table must reach the last chunk's sector bitmap block.</param>
    public VhdxBatLayout(long diskSize, uint blockSize, int logicalSectorSize, bool isDifferencing)
    {
        _chunkShift = BitOperations.Log2((ulong)VhdxLayout.SectorsPerChunk * (ulong)logicalSectorSize / blockSize);
        PayloadBlockCount = ((diskSize - 1) / blockSize) + 1;
        ChunkCount = ((PayloadBlockCount - 1) >> _chunkShift) + 1;
        EntryCount = isDifferencing ? ChunkCount * (ChunkRatio + 1L) : PayloadBlockCount + ChunkCount - 1;
    }

    /// <summary>Payload blocks in a chunk: 16 to 32768, a power of two.</summary>
    public int ChunkRatio => 1 << _chunkShift;

    public long PayloadBlockCount { get; }

    public long ChunkCount { get; }

    /// <summary>Entries that the table must have.</summary>
    public long EntryCount { get; }

    /// <summary>The chunk that a payload block belongs to.</summary>
    public long ChunkOf(long block) => block >> _chunkShift;

    /// <summary>The entry of a payload block.</summary>
    public long PayloadIndex(long block) => block + (block >> _chunkShift);

    /// <summary>The entry of a chunk's sector bitmap block.</summary>
    public long BitmapIndex(long chunk) => ((chunk + 1) << _chunkShift) + chunk;

    /// <summary>Whose entry it is.</summary>
    /// <param name="index">An entry of the table.</param>
    /// <param name="number">The payload block, or the chunk.</param>
    /// <returns>True for a payload block, false for a chunk's sector bitmap block.</returns>
    public bool IsPayload(long index, out long number)
    {
        var chunk = index / (ChunkRatio + 1L);
        var inChunk = index % (ChunkRatio + 1L);
        var isPayload = inChunk < ChunkRatio;
        number = isPayload ? (chunk << _chunkShift) + inChunk : chunk;
        return isPayload;
    }
}
