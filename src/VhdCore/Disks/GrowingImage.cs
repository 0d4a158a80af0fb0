using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Operations;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Vhd;

namespace VhdCore.Disks;

/// <summary>
/// A new image whose size nobody knows before its last byte has come, as of a disk that comes down a pipe. A raw image and a fixed VHD are written as they come. Every
/// other has tables that are made for a size, so its bytes wait in a raw file beside it, which takes space of its own, until <see cref="PublishAsync"/> copies them.
/// </summary>
public sealed class GrowingImage : IAsyncDisposable
{
    private readonly UnpublishedFile _file;
    private readonly string _path;
    private readonly ImageCreateOptions _options;
    private readonly IStorageResolver _resolver;
    private readonly GrowingDevice _device;
    private bool _isClosed;

    private GrowingImage(UnpublishedFile file, string path, ImageCreateOptions options, IStorageResolver resolver)
    {
        _file = file;
        _path = path;
        _options = options;
        _resolver = resolver;
        _device = new GrowingDevice(file.Storage, path);
    }

    /// <summary>What to write to, at rising or any other offsets; what is left out reads as zeros. Owned by this image.</summary>
    public IBlockDevice Device => _device;

    /// <summary>The bytes wait in a file of their own until the image can be made.</summary>
    public bool IsSpooled => MustSpool(_options);

    /// <summary>The name of the file that grows.</summary>
    public string TemporaryName => _file.TemporaryName;

    /// <summary>Begins an image. It appears under its name when it is published.</summary>
    /// <param name="path">Its name. A file that has it already is replaced, unless somebody has it open.</param>
    /// <param name="options">What to create; without a size or parent.</param>
    /// <param name="resolver">Turns names into storages; null takes them as file names.</param>
    /// <param name="cancellationToken">Ends it; nothing is left behind.</param>
    /// <exception cref="ArgumentException">The options contradict each other, or name a size or a parent.</exception>
    /// <exception cref="ImageException">The file that has the name already is in use, or the medium failed.</exception>
    public static async ValueTask<GrowingImage> CreateAsync(
        string path, ImageCreateOptions options, IStorageResolver? resolver = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(options);
        if (options is not { Size: null, Parent: null, Kind: not ImageKind.Differencing })
        {
            throw new ArgumentException("An image that grows has neither a size nor a parent.", nameof(options));
        }

        resolver ??= new FileStorageResolver();
        ImageCreation.Check(options with { Size = 1 << 20 }, path); // of any size
        var target = resolver.Exists(path) ? resolver.Canonicalize(path) : path;
        var file = await UnpublishedFile.CreateAsync(resolver, target, options.Io, cancellationToken).ConfigureAwait(false);
        if (MustSpool(options))
        {
            await file.ReleaseReplacedAsync().ConfigureAwait(false); // the image itself will take its place
        }

        return new GrowingImage(file, target, options, resolver);
    }

    /// <summary>Completes the image and gives it its name, durably. Once.</summary>
    /// <param name="length">Bytes of disk; what was written behind them is cut off.</param>
    /// <param name="copy">How to copy bytes that have waited in a file of their own.</param>
    /// <param name="progress">Told of that copy.</param>
    /// <param name="cancellationToken">Ends it; disposing of the image then leaves nothing behind.</param>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk.</exception>
    /// <exception cref="ImageException">The medium failed or is full, or the name cannot be given.</exception>
    public async Task PublishAsync(long length, ConvertOptions? copy = null, IProgress<OperationProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        var options = _options with { Size = length };
        ImageCreation.Check(options, _path);
        await _file.Storage.SetLengthOrThrowAsync(Alignment.Up(length, VhdLayout.SectorSize), cancellationToken).ConfigureAwait(false);
        if (IsSpooled)
        {
            await CopyAsync(options, copy ?? new ConvertOptions(), progress, cancellationToken).ConfigureAwait(false);
            return;
        }

        if (options.Format == ImageFormat.Vhd)
        {
            await VhdCreator.CreateAsync(_file.Storage, ExportOperation.Parameters(options, length), cancellationToken).ConfigureAwait(false); // puts a footer behind what is there
        }
        else
        {
            await _file.Storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
        }

        await _file.PublishAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Closes it. An image that was never published is deleted, and so is the file that bytes waited in.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_isClosed)
        {
            _isClosed = true;
            await _file.Storage.DisposeAsync().ConfigureAwait(false);
            await _file.CloseAsync().ConfigureAwait(false);
        }
    }

    private static bool MustSpool(ImageCreateOptions options) => !(options.Format == ImageFormat.Raw || options is { Format: ImageFormat.Vhd, Kind: ImageKind.Fixed });

    private async Task CopyAsync(ImageCreateOptions options, ConvertOptions copy, IProgress<OperationProgress>? progress, CancellationToken cancellationToken)
    {
        var image = await VirtualDisk.CreateAsync(_path, options with { DeferPublishing = true }, _resolver, cancellationToken).ConfigureAwait(false);
        await using (image.ConfigureAwait(false))
        {
            var gate = new InFlightGate();
            var chain = await ChainOpener.OpenAsync(_file.Storage, new ImageOpenOptions { Format = ImageFormat.Raw }, _resolver, gate, cancellationToken).ConfigureAwait(false);
            var spool = VirtualDisk.FromChain(chain, gate, isWritable: false);
            await using (spool.ConfigureAwait(false))
            {
                await ConvertOperation.RunAsync(spool.Device, image.Device, copy with { TargetIsZero = true }, progress, cancellationToken).ConfigureAwait(false);
            }

            await image.PublishAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
