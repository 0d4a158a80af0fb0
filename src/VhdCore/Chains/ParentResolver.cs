using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCore.Chains;

/// <summary>Finds the parent that a differencing image was made from: of all the names that the child gives, the first that has the right identifier.</summary>
/// <remarks>
/// Nothing about a name is trusted: where <see cref="ParentPolicy.BelowRoot"/> asks for it, a name is followed only if what it leads to, symbolic links
/// resolved, lies below the folder, and leads to the same place once the file is open.
/// </remarks>
internal sealed class ParentResolver
{
    private readonly IStorageResolver _resolver;
    private readonly ImageOpenOptions _options; // of every parent
    private readonly Action<ImageWarning>? _onWarning;
    private readonly string? _root; // canonical, for ParentPolicy.BelowRoot

    /// <param name="resolver">Turns names into storages.</param>
    /// <param name="options">The options that the leaf is opened by.</param>
    /// <exception cref="ArgumentException">Parents are to lie below a folder, and none is given.</exception>
    public ParentResolver(IStorageResolver resolver, ImageOpenOptions options)
    {
        _resolver = resolver;
        _options = options with { Writable = false, Format = null, OnWarning = null }; // of candidates that are not taken, nobody wants to hear
        _onWarning = options.OnWarning;
        if (options.Parents == ParentPolicy.BelowRoot)
        {
            if (string.IsNullOrEmpty(options.ParentRoot))
            {
                throw new ArgumentException($"{nameof(ParentPolicy.BelowRoot)} needs {nameof(ImageOpenOptions.ParentRoot)}.", nameof(options));
            }

            _root = resolver.Canonicalize(options.ParentRoot);
        }
    }

    /// <summary>Opens and identifies the parent. Its storage is the caller's.</summary>
    /// <param name="child">A differencing image.</param>
    /// <param name="chain">The canonical names of all images from the leaf to the child; none of them can be the parent.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ParentMismatchException">No name leads to the parent, or parents may not be followed.</exception>
    /// <exception cref="ImageException">The only file that could be the parent cannot be used, for the reason it gives.</exception>
    public async ValueTask<IdentifiedImage> OpenAsync(IdentifiedImage child, IReadOnlyCollection<string> chain, CancellationToken cancellationToken)
    {
        var reference = child.Parent!;
        if (_options.Parents == ParentPolicy.Refuse)
        {
            throw new ParentMismatchException(
                $"'{child.Storage.Name}' holds only what differs from a parent, and parents are not to be opened here. " +
                "Allow it, or convert the whole chain to one image first.",
                child.Storage.Name, reference.FileOffset);
        }

        var search = new ParentSearch(child, _root);
        foreach (var candidate in Candidates(child.Storage.Name, reference.Names))
        {
            if (await TryAsync(candidate, search, chain, cancellationToken).ConfigureAwait(false) is { } parent)
            {
                return parent;
            }
        }

        search.IsWide = true;
        foreach (var candidate in ParentNames.WiderCandidates(_resolver.Canonicalize(child.Storage.Name), reference.Names, _root, _resolver))
        {
            if (await TryAsync(candidate, search, chain, cancellationToken).ConfigureAwait(false) is { } parent)
            {
                return parent;
            }
        }

        throw search.Failure();
    }

    // A child that was opened through a link may name its parent from where it lies, or from where the link does.
    private IEnumerable<string> Candidates(string childName, IReadOnlyList<string> names)
    {
        var candidates = ParentNames.Candidates(childName, names, _resolver);
        var canonical = _resolver.Canonicalize(childName);
        return canonical == childName ? candidates
            : candidates.Concat(ParentNames.Candidates(canonical, names, _resolver));
    }

    private async ValueTask<IdentifiedImage?> TryAsync(string candidate, ParentSearch search, IReadOnlyCollection<string> chain, CancellationToken cancellationToken)
    {
        var canonical = _resolver.Canonicalize(candidate);
        if (!search.IsFirst(canonical))
        {
            return null;
        }

        if (!IsBelowRoot(canonical))
        {
            search.NoteOutside(candidate);
            return null;
        }

        if (!_resolver.Exists(canonical))
        {
            search.NoteMissing(candidate);
            return null;
        }

        if (chain.Contains(canonical))
        {
            search.NoteCycle(candidate);
            return null;
        }

        IStorage? storage = null;
        try
        {
            storage = await _resolver.OpenAsync(canonical, StorageOpenOptions.ForReading with { Sharing = _options.Sharing, Io = _options.Io }, cancellationToken).ConfigureAwait(false);

            // A folder on the way may have become a link since it was looked at.
            if (_root is not null && _resolver.Canonicalize(canonical) != canonical)
            {
                search.NoteMoved(candidate);
            }
            else if (await IdentifyAsync(storage, search, candidate, cancellationToken).ConfigureAwait(false) is { } parent)
            {
                storage = null;
                parent.Warnings.ForwardTo(_onWarning);
                return parent;
            }
        }
        catch (ImageException exception)
        {
            search.NoteUnusable(candidate, exception);
        }
        finally
        {
            if (storage is not null)
            {
                await storage.DisposeAsync().ConfigureAwait(false);
            }
        }

        return null;
    }

    private async ValueTask<IdentifiedImage?> IdentifyAsync(IStorage storage, ParentSearch search, string candidate, CancellationToken cancellationToken)
    {
        var expected = search.Reference;
        if (expected.IsRaw && !(_options.IgnoreParentId && await IsVhdAsync(storage, cancellationToken).ConfigureAwait(false)))
        {
            // libvhd's mark of a raw parent. Whatever its bytes look like, a guest wrote them.
            return await LayerFactory.IdentifyAsync(storage, _options with { Format = ImageFormat.Raw }, cancellationToken).ConfigureAwait(false);
        }

        var parent = await LayerFactory.IdentifyAsync(storage, _options, cancellationToken).ConfigureAwait(false);
        var isPossible = parent.Format == expected.Format || (parent.Format == ImageFormat.Raw && expected.Format == ImageFormat.Vhd);
        if (isPossible && parent.Identity is { } id && expected.Ids.Contains(id))
        {
            return parent;
        }

        if (!_options.IgnoreParentId || !isPossible)
        {
            search.NoteMismatch(candidate, parent);
            return null;
        }

        search.Child.Warnings.Add(
            $"the parent '{storage.Name}' was taken although {search.DescribeId(parent)} and not {expected.IdText}: what is read may be no disk that ever was.");
        return parent;
    }

    private static async ValueTask<bool> IsVhdAsync(IStorage storage, CancellationToken cancellationToken)
    {
        try
        {
            return await FormatDetector.DetectAsync(storage, cancellationToken).ConfigureAwait(false) == ImageFormat.Vhd;
        }
        catch (Exception exception) when (exception is CorruptImageException or UnsupportedImageException)
        {
            return false;
        }
    }

    private bool IsBelowRoot(string canonical) => _root is null
        || (canonical.StartsWith(_root, StringComparison.Ordinal)
            && (Path.EndsInDirectorySeparator(_root) || (canonical.Length > _root.Length && (canonical[_root.Length] is '/' || canonical[_root.Length] == Path.DirectorySeparatorChar))));
}
