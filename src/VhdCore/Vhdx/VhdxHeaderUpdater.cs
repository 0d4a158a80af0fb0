using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// Updates the headers of a file that is open for writing. Each change goes to the header that is not current, with the next sequence number; a flush must
/// come between two changes, so that one of them is always whole ([MS-VHDX] §2.2.2).
/// </summary>
internal sealed class VhdxHeaderUpdater(IStorage storage, VhdxHeader current)
{
    /// <summary>As it was last written.</summary>
    public VhdxHeader Current { get; private set; } = current;

    /// <summary>Writes the current header with other values into the other place.</summary>
    public async ValueTask<BlockStatus> WriteAsync(VhdxHeader values)
    {
        var header = values with
        {
            FileOffset = Current.FileOffset == VhdxLayout.FirstHeaderOffset ? VhdxLayout.SecondHeaderOffset : VhdxLayout.FirstHeaderOffset,
            SequenceNumber = Current.SequenceNumber + 1,
            HasSignature = true,
            ChecksumIsValid = true,
        };
        using var buffer = PooledBuffer.Rent(VhdxHeaderView.Size);
        VhdxHeaderWriter.Write(buffer.Span, header);
        var status = await storage.WriteAsync(header.FileOffset, buffer.Take(VhdxHeaderView.Size), 0, VhdxHeaderView.Size).ConfigureAwait(false);
        Current = status == BlockStatus.Ok ? header : Current;
        return status;
    }
}
