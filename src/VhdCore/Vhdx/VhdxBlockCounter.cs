using System.Buffers.Binary;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Counts payload blocks by state, over the whole BAT.</summary>
internal static class VhdxBlockCounter
{
    private const int PartSize = 256 << 10; // bytes of table read at a time

    /// <summary>Blocks of each <see cref="PayloadBlockState"/>; those whose entry cannot be true count as reserved.</summary>
    /// <param name="view">The file as it is after replay.</param>
    /// <param name="metadata">Judged.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="Errors.StorageException">The medium failed.</exception>
    public static async ValueTask<long[]> CountAsync(IStorage view, VhdxMetadata metadata, CancellationToken cancellationToken)
    {
        var counts = new long[Enum.GetValues<PayloadBlockState>().Length];
        var layout = metadata.BatLayout;
        var validator = new VhdxEntryValidator(metadata, view.Length);
        var end = layout.PayloadIndex(layout.PayloadBlockCount - 1) + 1;
        var part = new byte[(int)Math.Min(PartSize, end * VhdxLayout.BatEntrySize)];
        for (long first = 0; first < end;)
        {
            var count = (int)Math.Min(part.Length / VhdxLayout.BatEntrySize, end - first);
            var offset = (long)metadata.BatRegion.FileOffset + (first * VhdxLayout.BatEntrySize);
            await view.ReadExactAsync(offset, part.AsMemory(0, count * VhdxLayout.BatEntrySize), "the BAT", cancellationToken).ConfigureAwait(false);
            if (!part.AsSpan(0, count * VhdxLayout.BatEntrySize).ContainsAnyExcept((byte)0))
            {
                // As most of a large disk's table is. Each chunk's payload entries are followed by one of its sector bitmap.
                counts[(int)PayloadBlockState.NotPresent] += count - (((first + count) / (layout.ChunkRatio + 1)) - (first / (layout.ChunkRatio + 1)));
                first += count;
                continue;
            }

            for (var i = 0; i < count; i++)
            {
                var entry = new VhdxBatEntry(BinaryPrimitives.ReadUInt64LittleEndian(part.AsSpan(i * VhdxLayout.BatEntrySize)));
                if (layout.IsPayload(first + i, out _))
                {
                    var state = validator.IsPossible(first + i, entry, view.Length) ? entry.PayloadState : PayloadBlockState.Reserved;
                    counts[(int)state]++;
                }
            }

            first += count;
        }

        return counts;
    }
}
