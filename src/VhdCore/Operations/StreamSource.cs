using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations.Streams;

namespace VhdCore.Operations;

/// <summary>
/// A disk that comes out of a stream, read once, from its first byte to its last: raw, a fixed VHD, or a dynamic VHD whose table comes before its blocks.
/// Everything else is refused, with the reason.
/// </summary>
public sealed class StreamSource
{
    private const int DetectionSize = 2048; // bytes looked at first

    private readonly DiskStreamContent _content;
    private bool _isCopied;

    private StreamSource(string name, DiskStreamContent content)
    {
        Name = name;
        _content = content;
    }

    /// <summary>What it is called in messages.</summary>
    public string Name { get; }

    /// <summary>The format. Without one that was asked for, a fixed VHD counts as raw until its footer has come.</summary>
    public ImageFormat Format => _content.Format;

    /// <summary>The kind; a raw disk is fixed.</summary>
    public ImageKind Kind => _content.Kind;

    /// <summary>Bytes of disk, whole sectors; null as long as only the stream's end will tell.</summary>
    public long? Length => _content.Length;

    /// <summary>Bytes that came of a raw disk, where they are no whole sectors: the last sector is filled up with zeros. Known when it is copied.</summary>
    public long? LengthBeforeRounding => (_content as FlatStreamContent)?.LengthBeforeRounding;

    /// <summary>The disk's bytes come in their order. Those of a dynamic VHD come in that of its blocks.</summary>
    public bool IsInOrder => _content.IsInOrder;

    internal DiskStreamContent Content => _content;

    /// <summary>Reads as much as tells what it is; of a dynamic VHD, up to the end of its table.</summary>
    /// <param name="stream">Is read only forwards, and left open.</param>
    /// <param name="name">What to call it in messages.</param>
    /// <param name="options">How to understand it. Without a format, a VHD is told from raw bytes by its footers.</param>
    /// <param name="size">Bytes of disk, where they are known: fewer or more are an error then. Not for a dynamic VHD, which says its size itself.</param>
    /// <param name="cancellationToken">Ends it, also while the stream's writer stands still.</param>
    /// <exception cref="UnsupportedImageException">It cannot be read in one forward pass.</exception>
    /// <exception cref="CorruptImageException">It contradicts its format, or ended too early.</exception>
    /// <exception cref="ArgumentException">A size was given for an image that says its own.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async ValueTask<StreamSource> OpenAsync(
        Stream stream, string name, ImageOpenOptions? options = null, long? size = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(name);
        ArgumentOutOfRangeException.ThrowIfLessThan(size ?? 1, 1, nameof(size));
        options ??= new ImageOpenOptions();
        var reader = new ForwardReader(stream);
        var front = await reader.PeekAsync(DetectionSize, cancellationToken).ConfigureAwait(false);
        if (options.Format == ImageFormat.Vhdx || (options.Format is null && FormatDetector.DetectFront(front.Span, name) == ImageFormat.Vhdx))
        {
            throw new UnsupportedImageException(
                $"'{name}' is a VHDX, which cannot be read from a pipe: its log may change any part of it that has gone by, and its tables may lie behind what they describe. Save it to a file, and convert that.", name, fileOffset: 0);
        }

        if (options.Format == ImageFormat.Raw || !DynamicStreamContent.Begins(front.Span))
        {
            return new StreamSource(name, new FlatStreamContent(reader, name, front, options, size));
        }

        return size is null
            ? new StreamSource(name, await DynamicStreamContent.OpenAsync(reader, name, options, cancellationToken).ConfigureAwait(false))
            : throw new ArgumentException($"'{name}' is a dynamic VHD, which says its size itself. Leave the size out, or take its bytes as they are (-f raw).", nameof(size));
    }

    /// <summary>Copies the disk, reading the stream to its end, and makes the copy durable. Once.</summary>
    /// <param name="target">At least as long as the disk.</param>
    /// <param name="options">How. What comes from a stream cannot be verified.</param>
    /// <param name="progress">Told after each range, from any thread, one report at a time; of a length that is not known yet, the total is 0.</param>
    /// <param name="cancellationToken">Stops it, also while the stream's writer stands still.</param>
    /// <exception cref="ArgumentException">The copy was to be verified, the target is shorter, or an option is out of its range.</exception>
    /// <exception cref="InvalidOperationException">It has been copied before.</exception>
    /// <exception cref="ImageException">The stream was cut short or contradicts its format, or writing failed.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async Task<ConvertResult> CopyToAsync(
        IBlockDevice target, ConvertOptions? options = null, IProgress<OperationProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(target);
        options ??= new ConvertOptions();
        if (options.Verify || (Length is { } length && target.Length < length))
        {
            throw new ArgumentException(options.Verify ? "A stream cannot be read again to verify its copy." : $"The target has {target.Length} bytes, the source {Length}.", nameof(options));
        }

        if (_isCopied)
        {
            throw new InvalidOperationException("The stream has been read already.");
        }

        _isCopied = true;
        var result = await StreamCopy.RunAsync(this, target, options, new ProgressMeter(progress, "convert", Length ?? 0), cancellationToken).ConfigureAwait(false);
        await DeviceRequest.FlushAsync(target, cancellationToken).ConfigureAwait(false);
        return result;
    }
}
