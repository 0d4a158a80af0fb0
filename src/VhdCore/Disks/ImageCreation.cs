using VhdCore.Chains;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Disks;

/// <summary>
/// Creates one image: under a temporary name beside its own, until every structure is durable and the chain over it has been opened. What has the
/// name already is locked meanwhile, so that nothing in use is replaced.
/// </summary>
internal sealed class ImageCreation(string path, ImageCreateOptions options, IStorageResolver resolver)
{
    private const int FillSize = 1 << 20; // bytes written at a time

    private readonly List<IAsyncDisposable> _owned = [];

    /// <summary>Creates the image and opens it for writing.</summary>
    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    /// <exception cref="ImageException">It could not be created; nothing is left behind.</exception>
    public async ValueTask<VirtualDisk> RunAsync(CancellationToken cancellationToken)
    {
        Check(options, path);
        var target = resolver.Exists(path) ? resolver.Canonicalize(path) : path;
        OpenedChain? parents = null;
        UnpublishedFile? unpublished = null;
        try
        {
            parents = options.Parent is null ? null : await OpenParentAsync(options.Parent, target, cancellationToken).ConfigureAwait(false);
            unpublished = await UnpublishedFile.CreateAsync(resolver, target, options.Io, cancellationToken).ConfigureAwait(false);
            var storage = unpublished.Storage;
            _owned.Add(storage);
            var identifiers = VhdxCreation.Identifiers(options, parents?.Images[0]);
            await WriteAsync(storage, target, parents, identifiers, cancellationToken).ConfigureAwait(false);

            _owned.Remove(storage); // opening takes it over, whether it succeeds or not
            var gate = new InFlightGate();
            var openOptions = new ImageOpenOptions { Writable = true, Format = options.Format, Identifiers = identifiers };
            var chain = await ChainOpener.OpenAsync(storage, openOptions, resolver, gate, cancellationToken).ConfigureAwait(false);
            _owned.AddRange(chain.State.Layers.ToArray());
            if (!options.DeferPublishing)
            {
                await unpublished.PublishAsync(cancellationToken).ConfigureAwait(false);
            }

            return VirtualDisk.FromChain(chain with { Images = [chain.Images[0] with { Path = target }, .. chain.Images.Skip(1)] }, gate, isWritable: true, unpublished);
        }
        catch
        {
            await CleanUpAsync(unpublished).ConfigureAwait(false);
            throw;
        }
        finally
        {
            await CloseAsync(parents).ConfigureAwait(false);
        }
    }

    private async ValueTask CleanUpAsync(UnpublishedFile? unpublished)
    {
        foreach (var owned in _owned)
        {
            await owned.DisposeAsync().ConfigureAwait(false);
        }

        if (unpublished is not null)
        {
            await unpublished.CloseAsync().ConfigureAwait(false);
        }
    }

    private static async ValueTask CloseAsync(OpenedChain? parents)
    {
        foreach (var layer in parents?.State.Layers.ToArray() ?? [])
        {
            await layer.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Refuses what cannot be created, before there is a file.</summary>
    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk.</exception>
    public static void Check(ImageCreateOptions options, string path)
    {
        if (options.Kind == ImageKind.Differencing != options.Parent is not null)
        {
            throw new ArgumentException("A differencing image has a parent, and no other kind has.", nameof(options));
        }

        if (options.Size is null && options.Parent is null)
        {
            throw new ArgumentException("Only a differencing image can do without a size: it takes its parent's.", nameof(options));
        }

        if (options.Size < 0)
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.Size, "A size is not negative.");
        }

        if (options.UniqueId == Guid.Empty)
        {
            throw new ArgumentException("An identifier of all zeros means a raw parent to every child.", nameof(options));
        }

        if (options.Format == ImageFormat.Vhdx)
        {
            VhdxCreation.Check(options, path);
        }

        if (options.Format != ImageFormat.Vhdx && (options.LogicalSectorSize ?? options.PhysicalSectorSize ?? options.LogSize) is not null)
        {
            throw new ArgumentException("Only a VHDX has sectors of a size to choose, and a log.", nameof(options));
        }

        if (options.Format == ImageFormat.Raw && (options.Kind == ImageKind.Differencing || options.BlockSize is not null || options.ChsCompatible))
        {
            throw new ArgumentException("A raw image has neither a parent nor blocks nor a geometry.", nameof(options));
        }

        if (options is { Format: ImageFormat.Vhd, Size: { } size })
        {
            CheckVhd(options, size, path);
        }
    }

    // Before there is a file, so that the refusal names the image and not the temporary file.
    private static void CheckVhd(ImageCreateOptions options, long size, string path)
    {
        var effective = VhdCreator.EffectiveSize(size, options.ChsCompatible).Size;
        if (options.Kind != ImageKind.Fixed)
        {
            VhdCreator.EntryCount(effective, options.BlockSize ?? VhdLayout.DefaultBlockSize, path);
        }
    }

    private async ValueTask<OpenedChain> OpenParentAsync(string parent, string target, CancellationToken cancellationToken)
    {
        var chain = await ChainOpener.OpenAsync(parent, new ImageOpenOptions { Format = options.ParentFormat, Io = options.Io }, resolver, new InFlightGate(), cancellationToken).ConfigureAwait(false);
        var refusal = RefuseParent(chain, target);
        if (refusal is not null)
        {
            await CloseAsync(chain).ConfigureAwait(false);
            throw refusal;
        }

        return chain;
    }

    private Exception? RefuseParent(OpenedChain chain, string target)
    {
        var canonical = resolver.Canonicalize(target);
        if (chain.Images.Any(image => resolver.Canonicalize(image.Path) == canonical))
        {
            return new ArgumentException($"'{target}' is its parent, or one of the parent's own: a new image cannot replace what it is made from.", nameof(target));
        }

        if (chain.Images[0].Format == ImageFormat.Vhdx != (options.Format == ImageFormat.Vhdx))
        {
            return new UnsupportedImageException(
                options.Format == ImageFormat.Vhdx
                    ? $"'{chain.Images[0].Path}' is no VHDX, and nothing else can be a VHDX's parent. Convert it to VHDX first, or make the child a VHD."
                    : $"'{chain.Images[0].Path}' is a VHDX, and a VHD's parent is a VHD or a raw file. Make the child a VHDX, or convert the parent first.",
                chain.Images[0].Path);
        }

        if (options.LogicalSectorSize is { } asked && chain.Images[0].Vhdx is { LogicalSectorSize: var sectorSize } && sectorSize != asked)
        {
            return new UnsupportedImageException(
                $"'{chain.Images[0].Path}' has logical sectors of {sectorSize} bytes, and its child cannot have others: leave the logical sector size out.", chain.Images[0].Path);
        }

        return chain.Images[0] is { Format: ImageFormat.Vhd, Vhd.UniqueId: var id } image && id == Guid.Empty
            ? new UnsupportedImageException($"'{image.Path}' has an identifier of all zeros, by which a child would take it for a raw file. Convert it to a new image first.", image.Path)
            : null;
    }

    private async ValueTask WriteAsync(IStorage storage, string target, OpenedChain? parents, VhdxIdentifiers identifiers, CancellationToken cancellationToken)
    {
        var parent = parents?.Images[0];
        var size = options.Size ?? parent!.VirtualSize;
        if (options.Format == ImageFormat.Raw)
        {
            await WriteRawAsync(storage, Alignment.Up(size, VhdLayout.SectorSize), cancellationToken).ConfigureAwait(false);
            return;
        }

        if (options.Format == ImageFormat.Vhdx)
        {
            var locator = parent is null ? null : Reference(parent, target);
            var parameters = VhdxCreation.Parameters(options, parent, locator, identifiers);
            if (parents is not null)
            {
                parameters = parameters with { DiskItems = await VhdxDiskItem.ReadAsync(parents.State.Leaf.Storage, cancellationToken).ConfigureAwait(false) };
            }

            await VhdxCreator.CreateAsync(storage, parameters, cancellationToken).ConfigureAwait(false);
            return;
        }

        var vhd = new VhdCreateParameters
        {
            Kind = options.Kind,
            Size = size,
            BlockSize = options.BlockSize ?? VhdLayout.DefaultBlockSize,
            UniqueId = options.UniqueId ?? Guid.NewGuid(),
            Timestamp = options.Timestamp ?? DateTimeOffset.UtcNow,
            ChsCompatible = options.ChsCompatible,
            Preallocate = options.Preallocate,
            Parent = parent is null ? null : Reference(parent, target),
        };
        await VhdCreator.CreateAsync(storage, vhd, cancellationToken).ConfigureAwait(false);
    }

    private VhdParentReference Reference(ImageInfo parent, string target)
    {
        var absolute = resolver.Canonicalize(parent.Path);
        var folder = Path.GetDirectoryName(resolver.Canonicalize(target));
        return new VhdParentReference
        {
            UniqueId = parent.UniqueId ?? Guid.Empty,
            ModificationTime = parent.Vhd?.Timestamp,
            AbsolutePath = absolute,
            RelativePath = string.IsNullOrEmpty(folder) || !Path.IsPathRooted(absolute) ? absolute : Path.GetRelativePath(folder, absolute),
        };
    }

    private async ValueTask WriteRawAsync(IStorage storage, long size, CancellationToken cancellationToken)
    {
        await storage.SetLengthOrThrowAsync(size, cancellationToken).ConfigureAwait(false);
        if (options.Preallocate)
        {
            var zeros = new byte[(int)Math.Min(size, FillSize)];
            for (long offset = 0; offset < size; offset += zeros.Length)
            {
                await storage.WriteExactAsync(offset, zeros.AsMemory(0, (int)Math.Min(zeros.Length, size - offset)), cancellationToken).ConfigureAwait(false);
            }
        }

        await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
    }
}
