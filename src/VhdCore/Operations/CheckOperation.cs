using VhdCore.Chains;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Vhd;

namespace VhdCore.Operations;

/// <summary>Finds everything that is wrong with one image. Reads only.</summary>
public static class CheckOperation
{
    private const string RawLengthNotSectors = "RAW-LENGTH-NOT-SECTORS";
    private const string RawLooksLikeVhd = "RAW-LOOKS-LIKE-VHD";
    private const string ParentNotFound = "VHD-PARENT-NOT-FOUND";
    private const string ParentUnusable = "VHD-PARENT-UNUSABLE";

    /// <summary>The ids that stand here and not among a format's own.</summary>
    internal static IReadOnlyList<string> OwnIds { get; } = [RawLengthNotSectors, RawLooksLikeVhd, ParentNotFound, ParentUnusable];

    /// <summary>Checks one image. Of its parents only the nearest is looked for, and only to see that it is there and the right one.</summary>
    /// <param name="path">The image.</param>
    /// <param name="options">Its format, which of a VHD's sizes counts, locks, and whether a parent is looked for. Checksums are always reported.</param>
    /// <param name="resolver">Turns names into storages; null takes files.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>Every finding, also of images that are refused when they are to be opened.</returns>
    /// <exception cref="UnsupportedImageException">The file is of a format that is not checked here.</exception>
    /// <exception cref="StorageException">It cannot be opened or read.</exception>
    /// <exception cref="ImageInUseException">Another process writes it; <see cref="StorageSharing.Force"/> goes ahead, and may report what is not so.</exception>
    public static async Task<CheckReport> RunAsync(
        string path, ImageOpenOptions? options = null, IStorageResolver? resolver = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        options = (options ?? new ImageOpenOptions()) with { Writable = false };
        resolver ??= new FileStorageResolver();
        var storage = await resolver.OpenAsync(path, StorageOpenOptions.ForReading with { Sharing = options.Sharing }, cancellationToken).ConfigureAwait(false);
        await using (storage.ConfigureAwait(false))
        {
            return options.Format == ImageFormat.Raw || !await IsVhdAsync(storage, options, cancellationToken).ConfigureAwait(false)
                ? await CheckRawAsync(storage, cancellationToken).ConfigureAwait(false)
                : await CheckVhdAsync(storage, options, resolver, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask<bool> IsVhdAsync(IStorage storage, ImageOpenOptions options, CancellationToken cancellationToken)
    {
        try
        {
            var format = options.Format ?? await FormatDetector.DetectAsync(storage, cancellationToken).ConfigureAwait(false);
            return format != ImageFormat.Vhdx ? format == ImageFormat.Vhd : throw new UnsupportedImageException(
                $"'{storage.Name}' is a VHDX, which is not checked here. 'vhdkit info' says what its structures say.", storage.Name, fileOffset: 0);
        }
        catch (CorruptImageException)
        {
            return true; // a VHD by its name, with neither footer: the check says so
        }
    }

    private static async ValueTask<CheckReport> CheckRawAsync(IStorage storage, CancellationToken cancellationToken)
    {
        var findings = new List<CheckFinding>();
        if (await LooksLikeVhdAsync(storage, cancellationToken).ConfigureAwait(false))
        {
            findings.Add(new CheckFinding(
                RawLooksLikeVhd, CheckSeverity.Warning, "raw image", 0,
                "The file was to be taken as raw, and its bytes are a VHD's: as raw, its tables and footers would be part of the disk.", IsRepairable: false));
        }

        if (!Alignment.Is(storage.Length, VhdLayout.SectorSize))
        {
            findings.Add(new CheckFinding(
                RawLengthNotSectors, CheckSeverity.Note, "raw image", storage.Length,
                $"The file has {storage.Length} bytes, which is no whole number of 512-byte sectors; the disk's last sector is filled up with zeros.", IsRepairable: false));
        }

        return new CheckReport { Path = storage.Name, Format = ImageFormat.Raw, Findings = findings, ImageEndOffset = storage.Length };
    }

    private static async ValueTask<bool> LooksLikeVhdAsync(IStorage storage, CancellationToken cancellationToken)
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

    private static async ValueTask<CheckReport> CheckVhdAsync(
        IStorage storage, ImageOpenOptions options, IStorageResolver resolver, CancellationToken cancellationToken)
    {
        var result = await VhdChecker.CheckAsync(storage, options, cancellationToken).ConfigureAwait(false);
        var findings = result.Findings.Select(Translate).ToList();
        if (result.NeedsParent && options.Parents != ParentPolicy.Refuse
            && await LookForParentAsync(storage, result.Metadata!, options, resolver, cancellationToken).ConfigureAwait(false) is { } finding)
        {
            findings.Add(finding);
        }

        return new CheckReport
        {
            Path = storage.Name,
            Format = ImageFormat.Vhd,
            Findings = [.. findings.OrderBy(finding => finding.FileOffset)],
            TotalBlocks = result.TotalBlocks,
            AllocatedBlocks = result.AllocatedBlocks,
            ImageEndOffset = result.ImageEndOffset,
        };
    }

    // What is wrong with a parent is no fault of this image.
    private static async ValueTask<CheckFinding?> LookForParentAsync(
        IStorage storage, VhdMetadata metadata, ImageOpenOptions options, IStorageResolver resolver, CancellationToken cancellationToken)
    {
        var child = new IdentifiedImage { Storage = storage, Format = ImageFormat.Vhd, Vhd = metadata, Warnings = new ImageWarnings(storage.Name, null) };
        try
        {
            var parents = new ParentResolver(resolver, options with { OnWarning = null });
            var parent = await parents.OpenAsync(child, [resolver.Canonicalize(storage.Name)], cancellationToken).ConfigureAwait(false);
            await parent.Storage.DisposeAsync().ConfigureAwait(false);
            return null;
        }
        catch (ParentMismatchException exception)
        {
            return new CheckFinding(ParentNotFound, CheckSeverity.Warning, "parent", exception.FileOffset ?? metadata.HeaderOffset, exception.Message, IsRepairable: false);
        }
        catch (ImageException exception)
        {
            return new CheckFinding(
                ParentUnusable, CheckSeverity.Warning, "parent", metadata.HeaderOffset, $"The parent cannot be used: {exception.Message}", IsRepairable: false);
        }
    }

    private static CheckFinding Translate(Finding finding) => new(
        finding.Id,
        finding.Severity switch
        {
            FindingSeverity.Note => CheckSeverity.Note,
            FindingSeverity.Warning => CheckSeverity.Warning,
            FindingSeverity.Leak => CheckSeverity.Leak,
            _ => CheckSeverity.Corruption,
        },
        finding.Structure,
        finding.FileOffset,
        finding.Message,
        finding.IsRepairable);
}
