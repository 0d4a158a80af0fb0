using System.Buffers.Binary;
using VhdCore.Chains;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Operations;

/// <summary>Says what an image is, also where opening it would be refused.</summary>
public static class InfoOperation
{
    private const int TableChunkSize = 256 << 10; // bytes of table read at a time

    /// <summary>Describes an image, or a whole chain. Nothing is written.</summary>
    /// <param name="path">The image.</param>
    /// <param name="options">How it would be opened; null is for reading.</param>
    /// <param name="resolver">Turns names into storages; null takes them as file names.</param>
    /// <param name="wholeChain">Goes on to the image's parents, as far as they can be opened.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>The image, then its parents up to the root where the whole chain is asked for. At least one.</returns>
    /// <exception cref="ImageException">The file cannot be read, or is of no format that could be described.</exception>
    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    public static async Task<IReadOnlyList<ImageInfo>> RunAsync(
        string path, ImageOpenOptions? options = null, IStorageResolver? resolver = null, bool wholeChain = false, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new ImageOpenOptions();
        options = options with { Io = options.Io with { Waits = CallerWaits.ForMedium } }; // a few reads are not worth an engine
        ChainWalk.Check(options);
        resolver ??= new FileStorageResolver();
        var storage = await resolver.OpenAsync(path, StorageOpenOptions.ForReading with { Sharing = options.Sharing, Io = options.Io }, cancellationToken).ConfigureAwait(false);
        await using (storage.ConfigureAwait(false))
        {
            var format = options.Format ?? await FormatDetector.DetectAsync(storage, cancellationToken).ConfigureAwait(false);
            if (format == ImageFormat.Vhdx)
            {
                return await DescribeVhdxAsync(storage, options, resolver, wholeChain, cancellationToken).ConfigureAwait(false);
            }

            if (format != ImageFormat.Vhd)
            {
                return [ImageDescription.OfRaw(storage, [])];
            }

            var examination = await VhdExaminer.ExamineAsync(storage, options, cancellationToken).ConfigureAwait(false);
            var refusal = examination.Refusal(options);
            var metadata = examination.Metadata ?? throw refusal!;
            var described = await DescribeAsync(storage, metadata, Warnings(examination, refusal), refusal is not null, examination.HasUsableTable, cancellationToken).ConfigureAwait(false);
            if (refusal is not null || metadata.Kind != ImageKind.Differencing || options.Parents == ParentPolicy.Refuse)
            {
                return [described];
            }

            var leaf = new IdentifiedImage { Storage = storage, Format = format, Vhd = metadata, Warnings = new ImageWarnings(storage.Name, options.OnWarning) };
            return await DescribeChainAsync(described, new ChainWalk(leaf, options, resolver), wholeChain, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask<IReadOnlyList<ImageInfo>> DescribeVhdxAsync(
        IStorage storage, ImageOpenOptions options, IStorageResolver resolver, bool wholeChain, CancellationToken cancellationToken)
    {
        var examination = await VhdxExaminer.ExamineAsync(storage, cancellationToken).ConfigureAwait(false);
        var refusal = examination.Refusal(options);
        var odd = examination.Findings.Where(finding => finding.Severity != FindingSeverity.Note).Select(finding => finding.Message);
        var warnings = new List<string>(refusal is null ? odd : odd.Where(message => !refusal.Message.Contains(message, StringComparison.Ordinal)).Prepend(refusal.Message));
        var glimpse = examination.Metadata is not null ? null : await VhdxGlimpse.TakeAsync(storage, cancellationToken).ConfigureAwait(false) ?? throw refusal!;
        if ((examination.Metadata ?? glimpse!.Metadata) is not { } metadata)
        {
            return [VhdxDescription.OfUnknown(storage, glimpse!, warnings)];
        }

        var described = await DescribeAsync(storage, metadata, warnings, cancellationToken).ConfigureAwait(false) with { IsRefused = refusal is not null };
        if (refusal is not null || !metadata.HasParent || options.Parents == ParentPolicy.Refuse)
        {
            return [described];
        }

        var leaf = new IdentifiedImage { Storage = storage, Format = ImageFormat.Vhdx, Vhdx = metadata, Warnings = new ImageWarnings(storage.Name, options.OnWarning) };
        return await DescribeChainAsync(described, new ChainWalk(leaf, options, resolver), wholeChain, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<ImageInfo> DescribeAsync(IStorage storage, VhdxMetadata metadata, IReadOnlyList<string> warnings, CancellationToken cancellationToken)
    {
        var counts = await VhdxBlockCounter.CountAsync(metadata.ViewOf(storage), metadata, cancellationToken).ConfigureAwait(false);
        return VhdxDescription.Of(storage, metadata, parentPath: null, warnings, VhdxDescription.Counts(counts));
    }

    private static async ValueTask<IReadOnlyList<ImageInfo>> DescribeChainAsync(
        ImageInfo leaf, ChainWalk walk, bool wholeChain, CancellationToken cancellationToken)
    {
        var infos = new List<ImageInfo> { leaf };
        var parents = new List<IStorage>();
        try
        {
            while (await MoveAsync(walk, infos, cancellationToken).ConfigureAwait(false) is { } parent)
            {
                parents.Add(parent.Storage);
                var child = walk.Images[^2];
                infos[^1] = infos[^1] with
                {
                    ParentPath = child.ParentPath,
                    Warnings = [.. infos[^1].Warnings.Union(child.Warnings.ToList())],
                };
                if (!wholeChain)
                {
                    break;
                }

                infos.Add(parent.Vhd is { } metadata
                    ? await DescribeAsync(parent.Storage, metadata, parent.Warnings.ToList(), isRefused: false, hasTable: metadata.Header is not null, cancellationToken).ConfigureAwait(false)
                    : parent.Vhdx is { } vhdx ? await DescribeAsync(parent.Storage, vhdx, parent.Warnings.ToList(), cancellationToken).ConfigureAwait(false)
                    : parent.Describe());
            }
        }
        finally
        {
            foreach (var storage in parents)
            {
                await storage.DisposeAsync().ConfigureAwait(false);
            }
        }

        return infos;
    }

    private static async ValueTask<IdentifiedImage?> MoveAsync(ChainWalk walk, List<ImageInfo> infos, CancellationToken cancellationToken)
    {
        try
        {
            return await walk.MoveToParentAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ImageException exception)
        {
            infos[^1] = infos[^1] with { IsRefused = true, Warnings = [exception.Message, .. infos[^1].Warnings] };
            return null;
        }
    }

    private static List<string> Warnings(VhdExamination examination, ImageException? refusal)
    {
        var warnings = new List<string>();
        if (refusal is not null)
        {
            warnings.Add(refusal.Message);
        }

        foreach (var finding in examination.Findings)
        {
            if (finding.Severity != FindingSeverity.Note && refusal?.Message.Contains(finding.Message, StringComparison.Ordinal) != true)
            {
                warnings.Add(finding.Message);
            }
        }

        return warnings;
    }

    private static async ValueTask<ImageInfo> DescribeAsync(
        IStorage storage, VhdMetadata metadata, IReadOnlyList<string> warnings, bool isRefused, bool hasTable, CancellationToken cancellationToken)
    {
        var info = ImageDescription.OfVhd(storage, metadata, parentPath: null, warnings) with { IsRefused = isRefused };
        var allocated = hasTable ? await CountAllocatedAsync(storage, metadata, cancellationToken).ConfigureAwait(false) : null;
        return info with { Vhd = info.Vhd! with { AllocatedBlockCount = allocated } };
    }

    // The file bounds the table, so it bounds the time; the chunk bounds the memory.
    private static async ValueTask<long?> CountAllocatedAsync(IStorage storage, VhdMetadata metadata, CancellationToken cancellationToken)
    {
        var offset = (long)Math.Min(metadata.Header!.TableOffset, long.MaxValue);
        var rest = (long)metadata.BlockCount * VhdLayout.BatEntrySize;
        if (offset > storage.Length || rest > storage.Length - offset)
        {
            return null;
        }

        var chunk = new byte[(int)Math.Min(rest, TableChunkSize)];
        long allocated = 0;
        while (rest > 0)
        {
            var part = chunk.AsMemory(0, (int)Math.Min(rest, chunk.Length));
            await storage.ReadExactAsync(offset, part, "the block allocation table", cancellationToken).ConfigureAwait(false);
            allocated += CountAllocated(part.Span);
            offset += part.Length;
            rest -= part.Length;
        }

        return allocated;
    }

    private static int CountAllocated(ReadOnlySpan<byte> table)
    {
        var count = 0;
        for (var at = 0; at < table.Length; at += VhdLayout.BatEntrySize)
        {
            count += BinaryPrimitives.ReadUInt32BigEndian(table[at..]) == VhdLayout.UnusedEntry ? 0 : 1;
        }

        return count;
    }
}
