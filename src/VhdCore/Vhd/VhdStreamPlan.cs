using System.Buffers.Binary;
using System.Collections;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Vhd;

/// <summary>
/// Where everything lies in a dynamic disk that is written front to back: which blocks there are is known before the first of them, so the table can
/// go ahead of them. The layout is the one that <see cref="VhdCreator"/> and a writer in rising order arrive at.
/// </summary>
internal sealed class VhdStreamPlan
{
    private readonly BitArray _present;
    private readonly long _firstDataOffset;
    private readonly long _stride;
    private readonly long _presentCount;

    private VhdStreamPlan(BitArray present, long size, int blockSize, VhdFooter footer)
    {
        _present = present;
        Size = size;
        BlockSize = blockSize;
        BitmapSize = VhdLayout.BitmapSize(blockSize);
        TableEnd = VhdFileSize.TableEnd(size, blockSize);
        _firstDataOffset = VhdFileSize.FirstDataOffset(TableEnd, blockSize);
        _stride = VhdFileSize.Stride(blockSize);
        foreach (bool isPresent in present)
        {
            _presentCount += isPresent ? 1 : 0;
        }

        Footer = new byte[VhdLayout.FooterSize];
        VhdFooterWriter.Write(footer, Footer);
    }

    /// <summary>Bytes of disk.</summary>
    public long Size { get; }

    /// <summary>Bytes in a block.</summary>
    public int BlockSize { get; }

    /// <summary>Bytes of a block's sector bitmap, all ones.</summary>
    public int BitmapSize { get; }

    /// <summary>Bytes from the stream's start to where blocks may begin.</summary>
    public long TableEnd { get; }

    /// <summary>The footer, for the end; the front begins with its copy.</summary>
    public byte[] Footer { get; }

    /// <summary>Bytes of the whole stream.</summary>
    public long Length => VhdFileSize.OfDynamic(Size, BlockSize, _presentCount);

    /// <summary>Lays a disk out.</summary>
    /// <param name="parameters">A dynamic disk.</param>
    /// <param name="present">Whether a block has something, one bit for each.</param>
    /// <param name="name">For messages.</param>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk.</exception>
    public static VhdStreamPlan Create(VhdCreateParameters parameters, BitArray present, string name)
    {
        var (size, geometry) = VhdCreator.EffectiveSize(parameters.Size, parameters.ChsCompatible);
        var count = VhdCreator.EntryCount(size, parameters.BlockSize, name);
        ArgumentOutOfRangeException.ThrowIfNotEqual(present.Length, count, nameof(present));
        var plan = new VhdStreamPlan(present, size, parameters.BlockSize, VhdCreator.Footer(parameters, size, geometry));
        VhdCreator.CheckAddressable(plan.TableEnd, count, parameters.BlockSize, name);
        return plan.Length / VhdLayout.SectorSize < VhdLayout.UnusedEntry ? plan : throw new UnsupportedImageException(
            $"'{name}': with its bitmaps, the image would pass the 2 TiB that the table can address. Take larger blocks; usual is 2 MiB.", name);
    }

    /// <summary>The block has a place in the stream.</summary>
    public bool Has(long block) => _present[(int)block];

    /// <summary>What lies before the table: the footer's copy and the header.</summary>
    public byte[] Front()
    {
        var front = new byte[VhdLayout.DataAlignment];
        Footer.CopyTo(front, 0);
        var header = new VhdDynamicHeader { TableOffset = (ulong)front.Length, MaxTableEntries = (uint)_present.Length, BlockSize = (uint)BlockSize };
        VhdDynamicHeaderWriter.Write(header, front.AsSpan(VhdLayout.FooterSize));
        return front;
    }

    /// <summary>The table up to <see cref="TableEnd"/>, in pieces of at most <paramref name="pieceSize"/> bytes, which are one array again and again.</summary>
    public IEnumerable<ReadOnlyMemory<byte>> Table(int pieceSize)
    {
        var piece = new byte[Alignment.Down(pieceSize, VhdLayout.BatEntrySize)];
        var left = TableEnd - VhdLayout.DataAlignment;
        var data = _firstDataOffset;
        var block = 0;
        while (left > 0)
        {
            var length = (int)Math.Min(left, piece.Length);
            Array.Fill(piece, (byte)0xFF, 0, length); // unused, and what is behind the last entry
            for (var at = 0; at < length && block < _present.Length; at += VhdLayout.BatEntrySize, block++)
            {
                if (_present[block])
                {
                    BinaryPrimitives.WriteUInt32BigEndian(piece.AsSpan(at), (uint)((data - BitmapSize) / VhdLayout.SectorSize));
                    data += _stride;
                }
            }

            yield return piece.AsMemory(0, length);
            left -= length;
        }
    }

    /// <summary>Where a block's bitmap begins that has <paramref name="earlierCount"/> present blocks before it, in bytes of the stream.</summary>
    public long BitmapOffset(long earlierCount) => _firstDataOffset + (earlierCount * _stride) - BitmapSize;
}
