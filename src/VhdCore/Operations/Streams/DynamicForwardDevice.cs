using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Vhd;

namespace VhdCore.Operations.Streams;

/// <summary>A dynamic VHD down a stream: the table first, as planned, then the blocks that it names, in order.</summary>
internal sealed class DynamicForwardDevice(Stream stream, string name, long length, VhdStreamPlan plan) : ForwardDevice(stream, name, length)
{
    private const int TablePieceSize = 256 << 10; // bytes

    private readonly byte[] _bitmap = FullBitmap(plan.BitmapSize);
    private long _sentCount; // blocks

    public override async ValueTask BeginAsync(CancellationToken cancellationToken)
    {
        await Output.WriteAsync(plan.Front(), cancellationToken).ConfigureAwait(false);
        foreach (var piece in plan.Table(TablePieceSize))
        {
            await Output.WriteAsync(piece, cancellationToken).ConfigureAwait(false);
        }
    }

    protected override long EndOf(long diskLength) => plan.Size;

    protected override async ValueTask PutAsync(long offset, long count, BlockBuffers? bytes, CancellationToken cancellationToken)
    {
        for (long done = 0; done < count;)
        {
            var block = (offset + done) / plan.BlockSize;
            var inBlock = (offset + done) % plan.BlockSize;
            var run = Math.Min(count - done, plan.BlockSize - inBlock);
            if (plan.Has(block))
            {
                if (inBlock == 0)
                {
                    await BeginBlockAsync(cancellationToken).ConfigureAwait(false);
                }

                await SendAsync(bytes, done, run, cancellationToken).ConfigureAwait(false);
            }
            else if (bytes is { } memory)
            {
                RequireZeros(memory, done, run, offset + done);
            }

            done += run;
        }
    }

    protected override async ValueTask EndAsync(long end, CancellationToken cancellationToken)
    {
        // The last block is whole in the image, also where the disk ends inside it.
        var inBlock = end % plan.BlockSize;
        if (inBlock != 0 && plan.Has(end / plan.BlockSize))
        {
            await Output.WriteZerosAsync(plan.BlockSize - inBlock, cancellationToken).ConfigureAwait(false);
        }

        await Output.WriteAsync(plan.Footer, cancellationToken).ConfigureAwait(false);
    }

    private static byte[] FullBitmap(int size)
    {
        var bitmap = new byte[size];
        Array.Fill(bitmap, (byte)0xFF);
        return bitmap;
    }

    private async ValueTask BeginBlockAsync(CancellationToken cancellationToken)
    {
        await Output.WriteZerosAsync(plan.BitmapOffset(_sentCount) - Output.Position, cancellationToken).ConfigureAwait(false);
        await Output.WriteAsync(_bitmap, cancellationToken).ConfigureAwait(false);
        _sentCount++;
    }

    // The table has been sent: bytes that it has no place for cannot be.
    private void RequireZeros(BlockBuffers bytes, long start, long count, long offset)
    {
        while (count > 0)
        {
            var run = bytes.SpanAt(start, count);
            if (!ZeroScan.IsZero(run))
            {
                throw new StorageException(
                    $"the source has changed while it was read: {count} bytes at offset {offset} of the disk were known to be zeros when the table was sent, and are not any more. Convert it again, while nobody writes to it.", Info.Name);
            }

            start += run.Length;
            count -= run.Length;
        }
    }
}
