using VhdCore.Chains;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Operations;

/// <summary>Finds everything that is wrong with one image. Reads only.</summary>
public static class CheckOperation
{
    private const string RawLengthNotSectors = "RAW-LENGTH-NOT-SECTORS";
    private const string RawLooksLikeVhd = "RAW-LOOKS-LIKE-VHD";
    private const string RawLooksLikeVhdx = "RAW-LOOKS-LIKE-VHDX";

    private static readonly ParentIds Vhd = new("VHD-PARENT-NOT-FOUND", "VHD-PARENT-UNUSABLE");
    private static readonly ParentIds Vhdx = new("VHDX-PARENT-NOT-FOUND", "VHDX-PARENT-UNUSABLE");

    /// <summary>The ids that stand here and not among a format's own.</summary>
    internal static IReadOnlyList<string> OwnIds { get; } =
        [RawLengthNotSectors, RawLooksLikeVhd, RawLooksLikeVhdx, Vhd.NotFound, Vhd.Unusable, Vhdx.NotFound, Vhdx.Unusable];

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
        options ??= new ImageOpenOptions();
        options = options with { Writable = false, Io = options.Io with { Waits = CallerWaits.ForMedium } }; // one read after the other
        resolver ??= new FileStorageResolver();
        var storage = await resolver.OpenAsync(path, StorageOpenOptions.ForReading with { Sharing = options.Sharing, Io = options.Io }, cancellationToken).ConfigureAwait(false);
        await using (storage.ConfigureAwait(false))
        {
            var format = options.Format ?? await FormatOfAsync(storage, cancellationToken).ConfigureAwait(false);
            return format switch
            {
                ImageFormat.Vhd => await CheckVhdAsync(storage, options, resolver, cancellationToken).ConfigureAwait(false),
                ImageFormat.Vhdx => await CheckVhdxAsync(storage, options, resolver, cancellationToken).ConfigureAwait(false),
                _ => await CheckRawAsync(storage, cancellationToken).ConfigureAwait(false),
            };
        }
    }

    private static async ValueTask<ImageFormat> FormatOfAsync(IStorage storage, CancellationToken cancellationToken)
    {
        try
        {
            return await FormatDetector.DetectAsync(storage, cancellationToken).ConfigureAwait(false);
        }
        catch (CorruptImageException)
        {
            // By its name a VHD or a VHDX, and neither by its bytes: the check says so.
            return storage.Name.EndsWith("vhdx", StringComparison.OrdinalIgnoreCase) ? ImageFormat.Vhdx : ImageFormat.Vhd;
        }
    }

    private static async ValueTask<CheckReport> CheckRawAsync(IStorage storage, CancellationToken cancellationToken)
    {
        var findings = new List<CheckFinding>();
        var format = await LooksLikeAsync(storage, cancellationToken).ConfigureAwait(false);
        if (format != ImageFormat.Raw)
        {
            var isVhd = format == ImageFormat.Vhd;
            findings.Add(new CheckFinding(
                isVhd ? RawLooksLikeVhd : RawLooksLikeVhdx, CheckSeverity.Warning, "raw image", 0,
                $"The file was to be taken as raw, and its bytes are a {(isVhd ? "VHD" : "VHDX")}'s: as raw, its tables would be part of the disk.", IsRepairable: false));
        }

        if (!Alignment.Is(storage.Length, VhdLayout.SectorSize))
        {
            findings.Add(new CheckFinding(
                RawLengthNotSectors, CheckSeverity.Note, "raw image", storage.Length,
                $"The file has {storage.Length} bytes, which is no whole number of 512-byte sectors; the disk's last sector is filled up with zeros.", IsRepairable: false));
        }

        return new CheckReport { Path = storage.Name, Format = ImageFormat.Raw, Findings = findings, ImageEndOffset = storage.Length };
    }

    private static async ValueTask<ImageFormat> LooksLikeAsync(IStorage storage, CancellationToken cancellationToken)
    {
        try
        {
            return await FormatDetector.DetectAsync(storage, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is CorruptImageException or UnsupportedImageException)
        {
            return ImageFormat.Raw;
        }
    }

    private static async ValueTask<CheckReport> CheckVhdAsync(
        IStorage storage, ImageOpenOptions options, IStorageResolver resolver, CancellationToken cancellationToken)
    {
        var result = await VhdChecker.CheckAsync(storage, options, cancellationToken).ConfigureAwait(false);
        var findings = result.Findings.Select(Translate).ToList();
        if (result.NeedsParent)
        {
            await AddParentAsync(findings, Child(storage, ImageFormat.Vhd) with { Vhd = result.Metadata }, Vhd, options, resolver, cancellationToken).ConfigureAwait(false);
        }

        return Report(storage, ImageFormat.Vhd, findings) with
        {
            TotalBlocks = result.TotalBlocks,
            AllocatedBlocks = result.AllocatedBlocks,
            ImageEndOffset = result.ImageEndOffset,
        };
    }

    private static async ValueTask<CheckReport> CheckVhdxAsync(
        IStorage storage, ImageOpenOptions options, IStorageResolver resolver, CancellationToken cancellationToken)
    {
        var result = await VhdxChecker.CheckAsync(storage, cancellationToken).ConfigureAwait(false);
        var findings = result.Findings.Select(Translate).ToList();
        if (result.Metadata is { HasParent: true })
        {
            await AddParentAsync(findings, Child(storage, ImageFormat.Vhdx) with { Vhdx = result.Metadata }, Vhdx, options, resolver, cancellationToken).ConfigureAwait(false);
        }

        return Report(storage, ImageFormat.Vhdx, findings) with
        {
            TotalBlocks = result.TotalBlocks,
            AllocatedBlocks = result.AllocatedBlocks,
            ImageEndOffset = result.ImageEndOffset,
        };
    }

    private static IdentifiedImage Child(IStorage storage, ImageFormat format) =>
        new() { Storage = storage, Format = format, Warnings = new ImageWarnings(storage.Name, null) };

    private static CheckReport Report(IStorage storage, ImageFormat format, List<CheckFinding> findings) =>
        new() { Path = storage.Name, Format = format, Findings = [.. findings.OrderBy(finding => finding.FileOffset)] };

    // What is wrong with a parent is no fault of this image.
    private static async ValueTask AddParentAsync(
        List<CheckFinding> findings, IdentifiedImage child, ParentIds ids, ImageOpenOptions options, IStorageResolver resolver, CancellationToken cancellationToken)
    {
        if (options.Parents == ParentPolicy.Refuse)
        {
            return;
        }

        try
        {
            var parents = new ParentResolver(resolver, options with { OnWarning = null });
            var parent = await parents.OpenAsync(child, [resolver.Canonicalize(child.Storage.Name)], cancellationToken).ConfigureAwait(false);
            await parent.Storage.DisposeAsync().ConfigureAwait(false);
        }
        catch (ParentMismatchException exception)
        {
            Add(ids.NotFound, exception.FileOffset, exception.Message);
        }
        catch (ImageException exception)
        {
            Add(ids.Unusable, null, $"The parent cannot be used: {exception.Message}");
        }

        void Add(string id, long? fileOffset, string message) => findings.Add(
            new CheckFinding(id, CheckSeverity.Warning, "parent", fileOffset ?? child.Parent!.FileOffset, message, IsRepairable: false));
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

    /// <summary>What a format calls a parent that is not there, and one that is and cannot be used.</summary>
    private sealed record ParentIds(string NotFound, string Unusable);
}
