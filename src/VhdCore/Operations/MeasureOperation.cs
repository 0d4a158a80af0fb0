using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Operations;

/// <summary>How large a new image's file would be.</summary>
/// <param name="Required">Bytes, with the source's content.</param>
/// <param name="FullyAllocated">Bytes, once every block has been written.</param>
public sealed record MeasureResult(long Required, long FullyAllocated);

/// <summary>Says beforehand how large an image's file would be.</summary>
public static class MeasureOperation
{
    private const int RawSectorSize = 512; // bytes

    /// <summary>Measures a copy of a disk, by the disk's tables alone: what they do not know to be zero counts as content, so a copy that finds more zeros is smaller.</summary>
    /// <param name="source">The disk.</param>
    /// <param name="target">The image that would be made; its size is the source's unless it says otherwise. Fixed or dynamic.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="ArgumentException">The target is smaller than the source, or differencing.</exception>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk.</exception>
    /// <exception cref="ImageException">A table of the source could not be read, or is not possible.</exception>
    public static async Task<MeasureResult> RunAsync(IBlockDevice source, ImageCreateOptions target, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(target);
        var options = target with { Size = target.Size ?? source.Length };
        if (options.Size < source.Length)
        {
            throw new ArgumentException($"The target would have {options.Size} bytes, the source has {source.Length}.", nameof(target));
        }

        var empty = OfEmpty(options);
        if (options.Format == ImageFormat.Raw || options.Kind == ImageKind.Fixed)
        {
            return empty;
        }

        var isVhdx = options.Format == ImageFormat.Vhdx;
        var blockSize = options.BlockSize ?? (isVhdx ? VhdxCreator.UsualBlockSize(options.Kind) : VhdLayout.DefaultBlockSize);
        long allocated = 0;
        long nextBlock = 0; // the first that has not been counted
        await foreach (var run in MapOperation.RunAsync(source, cancellationToken: cancellationToken).ConfigureAwait(false))
        {
            if (!run.IsZero)
            {
                var first = Math.Max(nextBlock, run.Offset / blockSize);
                var end = Alignment.CountOf(run.Offset + run.Length, blockSize);
                allocated += Math.Max(0, end - first);
                nextBlock = Math.Max(nextBlock, end);
            }
        }

        if (isVhdx)
        {
            return empty with { Required = VhdxCreator.FileSize(VhdxCreateParameters.From(options, options.Size.Value), allocated) };
        }

        var size = VhdCreator.EffectiveSize(options.Size.Value, options.ChsCompatible).Size;
        return empty with { Required = VhdFileSize.OfDynamic(size, blockSize, allocated) };
    }

    /// <summary>Measures an empty image.</summary>
    /// <param name="target">The image that would be made, its size included. Fixed or dynamic.</param>
    /// <exception cref="ArgumentException">There is no size, or the image is differencing, whose size depends on its parent's name.</exception>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk.</exception>
    public static MeasureResult OfEmpty(ImageCreateOptions target)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (target.Size is not { } asked || target.Kind == ImageKind.Differencing)
        {
            throw new ArgumentException("Only an image of known size that is not differencing can be measured.", nameof(target));
        }

        if (target.Format == ImageFormat.Vhdx)
        {
            var parameters = VhdxCreateParameters.From(target, asked);
            VhdxCreator.Judge(parameters, path: null);
            var full = VhdxCreator.FileSize(parameters, VhdxCreator.BlockCount(parameters));
            return new MeasureResult(target.Kind == ImageKind.Fixed ? full : VhdxCreator.FileSize(parameters, 0), full);
        }

        if (target.Format == ImageFormat.Raw)
        {
            var length = Alignment.Up(asked, RawSectorSize);
            return new MeasureResult(length, length);
        }

        var size = VhdCreator.EffectiveSize(asked, target.ChsCompatible).Size;
        if (target.Kind == ImageKind.Fixed)
        {
            return new MeasureResult(VhdFileSize.OfFixed(size), VhdFileSize.OfFixed(size));
        }

        var blockSize = target.BlockSize ?? VhdLayout.DefaultBlockSize;
        var blocks = VhdCreator.EntryCount(size, blockSize, path: null);
        return new MeasureResult(VhdFileSize.OfDynamic(size, blockSize, 0), VhdFileSize.OfDynamic(size, blockSize, blocks));
    }
}
