using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Vhd;

namespace VhdCore.Chains;

/// <summary>Goes from an image to its parent, and on to the root, without end neither in circles nor in depth.</summary>
internal sealed class ChainWalk
{
    private readonly ParentResolver _parents;
    private readonly IStorageResolver _resolver;
    private readonly ImageOpenOptions _options;
    private readonly List<IdentifiedImage> _images = [];
    private readonly HashSet<string> _names = new(StringComparer.Ordinal); // canonical

    /// <param name="leaf">Where it begins. Its storage stays its owner's.</param>
    /// <param name="options">How the leaf is opened, and by which rules parents are followed.</param>
    /// <param name="resolver">Turns names into storages.</param>
    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    public ChainWalk(IdentifiedImage leaf, ImageOpenOptions options, IStorageResolver resolver)
    {
        Check(options);
        _parents = new ParentResolver(resolver, options);
        _options = options;
        _resolver = resolver;
        Append(leaf);
    }

    /// <summary>So far, leaf first.</summary>
    public IReadOnlyList<IdentifiedImage> Images => _images;

    /// <summary>Refuses options that contradict each other.</summary>
    /// <exception cref="ArgumentException">They do.</exception>
    public static void Check(ImageOpenOptions options)
    {
        if (options.Writable && options.Sharing == StorageSharing.Force)
        {
            throw new ArgumentException($"{nameof(StorageSharing.Force)} is for reading only.", nameof(options));
        }

        if (options.Writable && options.IgnoreBadChecksum)
        {
            throw new ArgumentException($"{nameof(ImageOpenOptions.IgnoreBadChecksum)} is for reading only.", nameof(options));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxChainDepth, 1, nameof(options));
    }

    /// <summary>Opens and identifies the parent of the last image.</summary>
    /// <returns>The parent, whose storage is the caller's; null when the last image has none.</returns>
    /// <exception cref="ImageException">The parent cannot be found or used, or the chain is too long or a circle. The walk has not moved.</exception>
    public async ValueTask<IdentifiedImage?> MoveToParentAsync(CancellationToken cancellationToken)
    {
        var child = _images[^1];
        if (!child.IsDifferencing)
        {
            return null;
        }

        if (_images.Count >= _options.MaxChainDepth)
        {
            throw new UnsupportedImageException(
                $"'{child.Storage.Name}' has a parent, and the chain of '{_images[0].Storage.Name}' has {_images.Count} images already, which is as many as are allowed. " +
                "Merge some of them, or allow a longer chain.",
                child.Storage.Name, child.Parent!.FileOffset);
        }

        var parent = await _parents.OpenAsync(child, _names, cancellationToken).ConfigureAwait(false);
        try
        {
            RefuseSameImage(parent);
            RefuseOtherSectors(child, parent);
        }
        catch
        {
            await parent.Storage.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        WarnOfOddities(child, parent);
        _images[^1] = child with { ParentPath = parent.Storage.Name };
        Append(parent);
        return parent;
    }

    private void Append(IdentifiedImage image)
    {
        _images.Add(image);
        _names.Add(_resolver.Canonicalize(image.Storage.Name));
    }

    // A hard link gives one file two names, which only the identifier tells.
    private void RefuseSameImage(IdentifiedImage parent)
    {
        if (_options.IgnoreParentId || parent.Identity is not { } id)
        {
            return;
        }

        foreach (var image in _images)
        {
            if (image.Identity == id)
            {
                throw new ParentMismatchException(
                    $"'{image.Storage.Name}' and its ancestor '{parent.Storage.Name}' have the same identifier, {id}: " +
                    "the chain is a circle, or one is a copy of the other. Put the right parent in its place.",
                    image.Storage.Name, image.Parent!.FileOffset);
            }
        }
    }

    private static void RefuseOtherSectors(IdentifiedImage child, IdentifiedImage parent)
    {
        if (child.LogicalSectorSize != parent.LogicalSectorSize)
        {
            throw new ParentMismatchException(
                $"'{child.Storage.Name}' has logical sectors of {child.LogicalSectorSize} bytes, and its parent '{parent.Storage.Name}' of {parent.LogicalSectorSize}: " +
                "they cannot be one disk. Put the right parent in its place.",
                child.Storage.Name, child.Parent!.FileOffset);
        }
    }

    private static void WarnOfOddities(IdentifiedImage child, IdentifiedImage parent)
    {
        var parentSize = parent.VirtualSize;
        if (parentSize != child.VirtualSize)
        {
            child.Warnings.Add(
                $"The parent '{parent.Storage.Name}' has {parentSize} bytes of disk, and this image {child.VirtualSize}: " +
                (parentSize > child.VirtualSize ? "the rest of the parent is out of reach." : "what the parent lacks reads as zeros."));
        }

        // The child has the time of the parent's last change. A parent that was stamped later has been changed behind its back.
        if (child.Vhd?.Header?.ParentTimestamp is { } seen and not 0 && parent.Vhd is { } parentMetadata && parentMetadata.Footer.Timestamp > seen)
        {
            child.Warnings.Add(
                $"The parent '{parent.Storage.Name}' is stamped {VhdTimestamp.ToTime(parentMetadata.Footer.Timestamp):u}, later than when this image was made from it " +
                $"({VhdTimestamp.ToTime(seen):u}). If the parent was written to since, the disk's content is wrong.");
        }
    }
}
