using System.Collections;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations.Streams;
using VhdCore.Primitives;
using VhdCore.Vhd;

namespace VhdCore.Operations;

/// <summary>Sends a disk down a stream as an image, in one forward pass: a pipe, a socket, a request's body.</summary>
public static class ExportOperation
{
    /// <summary>
    /// Sends a disk. A raw image and a fixed VHD are all its bytes, zeros included. A dynamic VHD has its table in front of its blocks, so which blocks there are is
    /// taken from the source's map: one that turns out to hold nothing but zeros is sent all the same.
    /// </summary>
    /// <param name="source">The disk. Nobody may change it meanwhile.</param>
    /// <param name="target">Is written to and flushed, never sought in, and left open. What has gone down when this fails stays so.</param>
    /// <param name="image">The image: raw, or a fixed or dynamic VHD. Its size, where it has one, is not below the source's.</param>
    /// <param name="name">What to call the stream in messages.</param>
    /// <param name="options">How; of no use here are verifying, sharing ranges and another order.</param>
    /// <param name="progress">Told after each range, from any thread, one report at a time.</param>
    /// <param name="cancellationToken">Stops it, also while the stream's reader stands still.</param>
    /// <exception cref="ArgumentException">The target was to be read again, or the image is smaller than the source.</exception>
    /// <exception cref="UnsupportedImageException">The image cannot be written front to back, or the format cannot hold such a disk. Nothing has been written.</exception>
    /// <exception cref="ImageException">Reading failed.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<ConvertResult> RunAsync(
        IBlockDevice source,
        Stream target,
        ImageCreateOptions image,
        string name,
        ConvertOptions? options = null,
        IProgress<OperationProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(name);
        options = Forward(options ?? new ConvertOptions());
        var size = image.Size ?? source.Length;
        if (size < source.Length)
        {
            throw new ArgumentException($"The image would have {size} bytes, the source has {source.Length}.", nameof(image));
        }

        Check(image, name);
        ForwardDevice device = IsDynamic(image)
            ? new DynamicForwardDevice(target, name, size, VhdStreamPlan.Create(Parameters(image, size), await PresentAsync(source, image, size, options, cancellationToken).ConfigureAwait(false), name))
            : OpenFlat(target, name, image, size);
        await device.BeginAsync(cancellationToken).ConfigureAwait(false);
        var result = await ConvertOperation.RunAsync(source, device, options, progress, cancellationToken).ConfigureAwait(false);
        await device.CompleteAsync(size, cancellationToken).ConfigureAwait(false);
        return result;
    }

    /// <summary>Sends what comes out of one stream down another.</summary>
    /// <param name="source">The disk; in its own order. For a dynamic VHD, of known size.</param>
    /// <param name="target">As above.</param>
    /// <param name="image">As above; its size is the source's.</param>
    /// <param name="name">As above.</param>
    /// <param name="options">As above.</param>
    /// <param name="progress">As above; of a length that is not known yet, the total is 0.</param>
    /// <param name="cancellationToken">As above.</param>
    /// <exception cref="UnsupportedImageException">The source or the image does not allow it; the message says what does.</exception>
    /// <inheritdoc cref="RunAsync(IBlockDevice, Stream, ImageCreateOptions, string, ConvertOptions?, IProgress{OperationProgress}?, CancellationToken)"/>
    public static async Task<ConvertResult> RunAsync(
        StreamSource source,
        Stream target,
        ImageCreateOptions image,
        string name,
        ConvertOptions? options = null,
        IProgress<OperationProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(name);
        options = Forward(options ?? new ConvertOptions());
        Check(image, name);
        if (!source.IsInOrder)
        {
            throw new UnsupportedImageException(
                $"'{source.Name}': its blocks come in another order than the disk's, so they cannot go down a pipe as they come. Convert to a file, and send that.", source.Name);
        }

        ForwardDevice device = IsDynamic(image) ? OpenDynamic(source, target, image, name, options) : OpenFlat(target, name, image, source.Length);
        await device.BeginAsync(cancellationToken).ConfigureAwait(false);
        var result = await source.CopyToAsync(device, options, progress, cancellationToken).ConfigureAwait(false);
        await device.CompleteAsync(source.Length!.Value, cancellationToken).ConfigureAwait(false);
        return result;
    }

    /// <summary>Refuses what cannot be written front to back, before there is a stream.</summary>
    /// <param name="image">The image.</param>
    /// <param name="name">What to call the stream in messages.</param>
    /// <exception cref="UnsupportedImageException">It cannot; the message says why, and what can.</exception>
    public static void Check(ImageCreateOptions image, string name)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (image.Format == ImageFormat.Vhdx)
        {
            throw new UnsupportedImageException(
                $"'{name}': a VHDX is not written to a pipe: its log, headers and tables are changed after what they describe has been written. Send a dynamic VHD (-O vhd) or raw bytes (-O raw), or convert to a file and send that.", name);
        }

        if (image.Kind == ImageKind.Differencing)
        {
            throw new UnsupportedImageException($"'{name}': a differencing image is made beside its parent, not in a pipe. Send a fixed or dynamic image.", name);
        }
    }

    internal static bool IsDynamic(ImageCreateOptions image) => image is { Format: ImageFormat.Vhd, Kind: ImageKind.Dynamic };

    /// <summary>Always in order, and nothing is taken for zero that has not been sent.</summary>
    internal static ConvertOptions Forward(ConvertOptions options) => !options.Verify
        ? options with { TargetIsZero = false, WriteInOrder = true, AllowCloning = false }
        : throw new ArgumentException("A stream cannot be read again to be verified.", nameof(options));

    internal static ForwardDevice OpenFlat(Stream target, string name, ImageCreateOptions image, long? size) =>
        new FlatForwardDevice(target, name, size, image.Format == ImageFormat.Vhd ? Parameters(image, size ?? 0) : null);

    internal static VhdCreateParameters Parameters(ImageCreateOptions image, long size) => new()
    {
        Kind = image.Kind,
        Size = size,
        BlockSize = image.BlockSize ?? VhdLayout.DefaultBlockSize,
        UniqueId = image.UniqueId ?? Guid.NewGuid(),
        Timestamp = image.Timestamp ?? DateTimeOffset.UtcNow,
        ChsCompatible = image.ChsCompatible,
    };

    /// <summary>A bit for each block, none of them set; all of them where zeros are to be sent as well.</summary>
    internal static BitArray Blocks(ImageCreateOptions image, long size, ConvertOptions options, string? name)
    {
        var effective = VhdCreator.EffectiveSize(size, image.ChsCompatible).Size;
        return new BitArray((int)VhdCreator.EntryCount(effective, image.BlockSize ?? VhdLayout.DefaultBlockSize, name), options.SparseSize == 0);
    }

    private static DynamicForwardDevice OpenDynamic(StreamSource source, Stream target, ImageCreateOptions image, string name, ConvertOptions options)
    {
        if (source.Length is not { } size)
        {
            throw new UnsupportedImageException(
                $"'{name}': a dynamic VHD begins with a table that is made for the disk's size, and of '{source.Name}' only the end will tell that. Give the size (--size), or send a fixed VHD or raw bytes.", name);
        }

        var present = Blocks(image, size, options, name);
        source.Content.MarkPresent(present, image.BlockSize ?? VhdLayout.DefaultBlockSize);
        return new DynamicForwardDevice(target, name, size, VhdStreamPlan.Create(Parameters(image, size), present, name));
    }

    private static async ValueTask<BitArray> PresentAsync(IBlockDevice source, ImageCreateOptions image, long size, ConvertOptions options, CancellationToken cancellationToken)
    {
        var present = Blocks(image, size, options, name: null);
        var blockSize = image.BlockSize ?? VhdLayout.DefaultBlockSize;
        await foreach (var run in MapOperation.RunAsync(source, cancellationToken: cancellationToken).ConfigureAwait(false))
        {
            if (!run.IsZero)
            {
                var end = Alignment.CountOf(run.Offset + run.Length, blockSize);
                for (var block = run.Offset / blockSize; block < end; block++)
                {
                    present[(int)block] = true;
                }
            }
        }

        return present;
    }
}
