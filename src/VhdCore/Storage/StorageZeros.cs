using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Storage;

/// <summary>Zeros in a storage.</summary>
internal static class StorageZeros
{
    /// <summary>Makes a range inside the storage read as zeros: by a hole where the medium can, by writing otherwise.</summary>
    public static async ValueTask<BlockStatus> WriteAsync(IStorage storage, long offset, long length)
    {
        var status = await storage.PunchHoleAsync(offset, length).ConfigureAwait(false);
        if (status != BlockStatus.Unsupported)
        {
            return status;
        }

        status = BlockStatus.Ok;
        while (length > 0 && status == BlockStatus.Ok)
        {
            var run = Math.Min(length, ZeroBuffer.Size);
            status = await storage.WriteAsync(offset, ZeroBuffer.Take(run), 0, run).ConfigureAwait(false);
            offset += run;
            length -= run;
        }

        return status;
    }
}
