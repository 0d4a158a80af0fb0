using VhdCore.Layers;
using VhdCore.Raw;
using VhdCore.Storage;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Formats;

/// <summary>The list of formats: identifies any image and opens it as a layer.</summary>
internal static class LayerFactory
{
    /// <summary>Finds out the format unless <see cref="ImageOpenOptions.Format"/> says it, and reads and judges the image's structures. Writes nothing.</summary>
    /// <param name="storage">Stays the caller's when this throws.</param>
    /// <param name="options">How the image is to be opened.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="Errors.ImageException">The image cannot be used as asked.</exception>
    public static async ValueTask<IdentifiedImage> IdentifyAsync(IStorage storage, ImageOpenOptions options, CancellationToken cancellationToken)
    {
        var warnings = new ImageWarnings(storage.Name, options.OnWarning);
        var format = options.Format ?? await FormatDetector.DetectAsync(storage, cancellationToken).ConfigureAwait(false);
        return new IdentifiedImage
        {
            Storage = storage,
            Format = format,
            Vhd = format == ImageFormat.Vhd
                ? await VhdMetadataReader.ReadAsync(storage, warnings.Attach(options), cancellationToken).ConfigureAwait(false)
                : null,
            Vhdx = format == ImageFormat.Vhdx
                ? await VhdxMetadataReader.ReadAsync(storage, warnings.Attach(options), cancellationToken).ConfigureAwait(false)
                : null,
            Warnings = warnings,
        };
    }

    /// <summary>Opens an image for reading. The layer owns the storage; it stays the caller's when this throws.</summary>
    /// <exception cref="Errors.ImageException">The image's tables cannot be true, or cannot be read.</exception>
    public static ValueTask<IImageLayer> OpenAsync(IdentifiedImage image, ImageOpenOptions options, CancellationToken cancellationToken) =>
        image.Vhd is { } metadata
            ? VhdLayer.OpenAsync(image.Storage, metadata, image.Warnings.Attach(options), cancellationToken)
            : image.Vhdx is { } vhdx ? new ValueTask<IImageLayer>(VhdxLayer.Open(image.Storage, vhdx, options))
            : new ValueTask<IImageLayer>(RawLayer.Open(image.Storage));

    /// <summary>Opens an image for writing. The layer owns the storage; it stays the caller's when this throws.</summary>
    /// <exception cref="Errors.ImageException">The image's tables cannot be true, or cannot be read.</exception>
    public static ValueTask<IWritableLayer> OpenForWritingAsync(
        IdentifiedImage image, ImageOpenOptions options, InFlightGate gate, CancellationToken cancellationToken) =>
        image.Vhd is { } metadata
            ? VhdWriter.OpenAsync(image.Storage, metadata, image.Warnings.Attach(options), gate, cancellationToken)
            : image.Vhdx is { } vhdx ? VhdxWriterOpener.OpenAsync(image.Storage, vhdx, options, gate, cancellationToken)
            : new ValueTask<IWritableLayer>(RawLayer.Open(image.Storage));
}
