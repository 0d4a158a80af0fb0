using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Chains;

/// <summary>Opens an image and all its parents as one chain. Every parent is known to be the right one before anything may be written to the leaf.</summary>
internal static class ChainOpener
{
    /// <summary>Opens a chain by its leaf's name.</summary>
    /// <param name="path">The leaf.</param>
    /// <param name="options">How to open it. Parents are opened for reading, and locked against writers.</param>
    /// <param name="resolver">Turns names into storages.</param>
    /// <param name="gate">The gate that the leaf frees its space by; the device over the chain must use the same.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ImageException">An image of the chain cannot be used; nothing stays open.</exception>
    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    public static async ValueTask<OpenedChain> OpenAsync(
        string path, ImageOpenOptions options, IStorageResolver resolver, InFlightGate gate, CancellationToken cancellationToken)
    {
        ChainWalk.Check(options);
        var access = options.Writable ? StorageOpenOptions.ForWriting : StorageOpenOptions.ForReading with { Sharing = options.Sharing };
        var leaf = await resolver.OpenAsync(path, access with { Io = options.Io }, cancellationToken).ConfigureAwait(false);
        return await OpenAsync(leaf, options, resolver, gate, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Opens a chain by its leaf's storage, which is disposed of when this throws.</summary>
    /// <inheritdoc cref="OpenAsync(string, ImageOpenOptions, IStorageResolver, InFlightGate, CancellationToken)"/>
    public static async ValueTask<OpenedChain> OpenAsync(
        IStorage leaf, ImageOpenOptions options, IStorageResolver resolver, InFlightGate gate, CancellationToken cancellationToken)
    {
        var owned = new List<IAsyncDisposable> { leaf }; // an image's storage, later the layer that owns it
        try
        {
            var walk = new ChainWalk(await LayerFactory.IdentifyAsync(leaf, options, cancellationToken).ConfigureAwait(false), options, resolver);
            while (await walk.MoveToParentAsync(cancellationToken).ConfigureAwait(false) is { } parent)
            {
                owned.Add(parent.Storage);
            }

            var layers = new IImageLayer[walk.Images.Count];
            var parentOptions = options with { Writable = false, Format = null };
            for (var depth = layers.Length - 1; depth >= 0; depth--)
            {
                var image = walk.Images[depth];
                layers[depth] = depth > 0 ? await LayerFactory.OpenAsync(image, parentOptions, cancellationToken).ConfigureAwait(false)
                    : options.Writable ? await LayerFactory.OpenForWritingAsync(image, options, gate, cancellationToken).ConfigureAwait(false)
                    : await LayerFactory.OpenAsync(image, options, cancellationToken).ConfigureAwait(false);
                owned[depth] = layers[depth];
            }

            return new OpenedChain(new ChainState(layers, layers[0].Length), [.. walk.Images.Select(image => image.Describe())]);
        }
        catch
        {
            foreach (var disposable in owned)
            {
                await disposable.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }
}

/// <summary>A chain that has been opened, and what its images are.</summary>
/// <param name="State">The layers, which the state's holder disposes of.</param>
/// <param name="Images">Leaf first.</param>
internal sealed record OpenedChain(ChainState State, IReadOnlyList<ImageInfo> Images);
