using System.Buffers.Binary;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Goes through the BAT, a part at a time; of entries that are all zeros, which most are, nothing is told, and holes in the file are not read.</summary>
/// <param name="view">The file as it is after replay.</param>
/// <param name="metadata">Judged.</param>
internal sealed class VhdxBatScanner(IStorage view, VhdxMetadata metadata)
{
    private const int PartSize = 1 << 20; // bytes of table read at a time

    private byte[] _part = [];

    /// <summary>Calls <paramref name="visit"/> for every entry from <paramref name="first"/> to <paramref name="end"/> that is not zero, in order.</summary>
    /// <exception cref="Errors.StorageException">The medium failed.</exception>
    public async ValueTask ScanAsync(long first, long end, Action<long, VhdxBatEntry> visit, CancellationToken cancellationToken)
    {
        const int EntrySize = VhdxLayout.BatEntrySize;
        while (first < end)
        {
            var offset = OffsetOf(first);
            var run = view.Map(offset, (end - first) * EntrySize);
            if (run.IsHole && run.Length >= EntrySize)
            {
                first += run.Length / EntrySize;
                continue;
            }

            var count = (int)Math.Clamp(run.Length / EntrySize, 1, Math.Min(PartSize / EntrySize, end - first));
            if (_part.Length < count * EntrySize)
            {
                _part = new byte[Math.Min(PartSize, Math.Max(count * EntrySize, VhdxLayout.LogSectorSize))];
            }

            await view.ReadExactAsync(offset, _part.AsMemory(0, count * EntrySize), "the BAT", cancellationToken).ConfigureAwait(false);
            for (var i = 0; i < count; i++)
            {
                var raw = BinaryPrimitives.ReadUInt64LittleEndian(_part.AsSpan(i * EntrySize));
                if (raw != 0)
                {
                    visit(first + i, new VhdxBatEntry(raw));
                }
            }

            first += count;
        }
    }

    /// <summary>Bytes from the file's start to an entry.</summary>
    public long OffsetOf(long index) => (long)metadata.BatRegion.FileOffset + (index * VhdxLayout.BatEntrySize);
}
