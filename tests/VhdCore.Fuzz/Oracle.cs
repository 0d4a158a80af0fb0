using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>What became of one case.</summary>
internal enum FuzzOutcome
{
    /// <summary>The library refused to open it.</summary>
    Refused,

    /// <summary>It opened; the independent reader refused it, so that there was nothing to compare with.</summary>
    OpenedOnly,

    /// <summary>It opened, and what both readers could read is the same.</summary>
    Compared,
}

/// <summary>The library did with a case what it never may.</summary>
internal sealed class OracleException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>How a case is put before the library.</summary>
/// <param name="ReadsAtOnce">The storages have everything at hand; otherwise each read is waited for.</param>
/// <param name="IgnoresChecksums">Wrong checksums are read past.</param>
/// <param name="IsBlockDevice">The storages cannot grow.</param>
internal readonly record struct FuzzVariant(bool ReadsAtOnce, bool IgnoresChecksums, bool IsBlockDevice)
{
    /// <summary>A file, as it is usually opened.</summary>
    public static FuzzVariant Usual { get; } = new(ReadsAtOnce: true, IgnoresChecksums: false, IsBlockDevice: false);

    /// <summary>The usual variant for half of the seeds.</summary>
    public static FuzzVariant OfSeed(int seed) => (seed & 15) switch
    {
        < 8 => Usual,
        < 11 => Usual with { ReadsAtOnce = false },
        < 14 => Usual with { IgnoresChecksums = true },
        _ => Usual with { IsBlockDevice = true },
    };

    public static IEnumerable<FuzzVariant> All => Enumerable.Range(0, 8).Select(bits => new FuzzVariant((bits & 1) == 0, (bits & 2) != 0, (bits & 4) != 0));
}

/// <summary>
/// Holds the library to its word on one case: only an <see cref="ImageException"/> or a <see cref="BlockStatus"/> comes out, memory stays bounded, nothing is
/// written by a reader, and what is read is what the independent reader reads.
/// </summary>
internal static class Oracle
{
    private const long MaxComparedLength = 2L << 20; // bytes of disk; of a longer one, what either reader says is there
    private const int MaxDepth = 3; // images in a chain of the corpus
    private const int MaxRuns = 200_000;

    /// <exception cref="OracleException">The library broke its word.</exception>
    public static async Task<FuzzOutcome> JudgeAsync(FuzzCase fuzzCase, FuzzVariant variant)
    {
        var resolver = Resolver(fuzzCase, variant);
        var before = GC.GetTotalAllocatedBytes();
        FuzzOutcome outcome;
        try
        {
            outcome = await ReadAsync(fuzzCase, variant, resolver);
            foreach (var name in fuzzCase.Files.Keys)
            {
                await Descriptions.RunAsync("/" + name, resolver);
            }
        }
        catch (Exception exception) when (exception is not (ImageException or OracleException))
        {
            throw new OracleException($"{exception.GetType().Name} came out.", exception);
        }

        RequireUnchanged(fuzzCase, resolver, "reading");
        RequireMemoryBound(fuzzCase, GC.GetTotalAllocatedBytes() - before);
        if (outcome != FuzzOutcome.Refused)
        {
            await WriterOracle.JudgeAsync(fuzzCase, variant);
        }

        return outcome;
    }

    /// <summary>The case's files as storages.</summary>
    public static MemoryStorageResolver Resolver(FuzzCase fuzzCase, FuzzVariant variant)
    {
        var resolver = new MemoryStorageResolver
        {
            ReadsAtOnce = variant.ReadsAtOnce,
            Traits = variant.IsBlockDevice ? new StorageTraits { CanWrite = true, IsBlockDevice = true, ExtensionReadsZeros = false } : null,
        };
        foreach (var (name, file) in fuzzCase.Files)
        {
            resolver.Add(name, file);
        }

        return resolver;
    }

    /// <summary>What the independent reader may take the case for: each image by its footer at the end, or by the copy. Empty where it refuses all.</summary>
    public static List<PlainChain> PlainReaders(FuzzCase fuzzCase, bool ignoresChecksums = false)
    {
        var readers = new List<PlainChain>();
        var depth = Math.Min(fuzzCase.Files.Count, MaxDepth);
        for (var bits = 0; bits < 1 << depth; bits++)
        {
            var ends = bits;
            PlainFooterRule[] footers = [.. Enumerable.Range(0, depth).Select(i => (ends & (1 << i)) == 0 ? PlainFooterRule.EndThenFront : PlainFooterRule.FrontThenFixedEnd)];
            Add(PlainRules.Default with { Footers = footers });
            if (ignoresChecksums)
            {
                Add(PlainRules.Default with { Footers = footers, IgnoreHeaderChecksum = true });
                Add(PlainRules.Default with { Footers = footers, IgnoreHeaderChecksum = true, IgnoreFooterChecksum = true });
            }
        }

        return readers;

        void Add(PlainRules rules)
        {
            try
            {
                readers.Add(PlainChain.OpenBytes(fuzzCase.Leaf, fuzzCase.Files, rules));
            }
            catch (PlainFormatException)
            {
                // Nothing to compare with in this way of reading.
            }
        }
    }

    /// <summary>A sector by the independent reader, or null where it refuses it.</summary>
    public static byte[]? TryReadSector(PlainChain chain, long sector)
    {
        try
        {
            return chain.ReadSector(sector);
        }
        catch (PlainFormatException)
        {
            return null;
        }
    }

    private static async Task<FuzzOutcome> ReadAsync(FuzzCase fuzzCase, FuzzVariant variant, MemoryStorageResolver resolver)
    {
        VirtualDisk disk;
        var options = new ImageOpenOptions { IgnoreBadChecksum = variant.IgnoresChecksums, OnWarning = _ => { } };
        try
        {
            disk = await VirtualDisk.OpenAsync("/" + fuzzCase.Leaf, options, resolver);
        }
        catch (ImageException exception)
        {
            RequireHelpful(exception);
            await Descriptions.RequireFindingAsync("/" + fuzzCase.Leaf, exception, resolver);
            return FuzzOutcome.Refused;
        }

        await using (disk)
        {
            if (disk.Images[0].VirtualSize != disk.Length || disk.Length <= 0)
            {
                throw new OracleException($"A disk of {disk.Length} bytes is described as one of {disk.Images[0].VirtualSize}.");
            }

            var runs = await MapAsync(disk);
            var readers = PlainReaders(fuzzCase, variant.IgnoresChecksums);
            readers.RemoveAll(reader => reader.Length != disk.Length);
            if (readers.Count == 0)
            {
                await CompareAsync(disk, null, runs);
                return FuzzOutcome.OpenedOnly;
            }

            OracleException? difference = null;
            foreach (var reader in readers)
            {
                using (reader)
                {
                    difference = await CompareAsync(disk, reader, runs);
                }

                if (difference is null)
                {
                    return FuzzOutcome.Compared;
                }
            }

            throw difference!;
        }
    }

    /// <summary>The disk's map; null where a table is impossible.</summary>
    private static async Task<List<BlockRun>?> MapAsync(VirtualDisk disk)
    {
        var runs = new List<BlockRun>();
        long offset = 0;
        while (offset < disk.Length)
        {
            var run = await disk.Device.MapAsync(offset, disk.Length - offset);
            if (run.Status != BlockStatus.Ok)
            {
                return null;
            }

            if (run.Offset != offset || run.Length < 1 || run.Length > disk.Length - offset)
            {
                throw new OracleException($"Map at {offset} answers {run}.");
            }

            runs.Add(run);
            if (runs.Count > MaxRuns)
            {
                throw new OracleException($"The map of {disk.Length} bytes has more than {MaxRuns} runs.");
            }

            offset += run.Length;
        }

        return runs;
    }

    /// <summary>Reads everything, or what is there, and compares sector by sector where the independent reader can read.</summary>
    private static async Task<OracleException?> CompareAsync(VirtualDisk disk, PlainChain? plain, List<BlockRun>? runs)
    {
        const int pieceSize = 60 << 10; // bytes
        using var buffer = new NativeBuffer(pieceSize);
        long done = 0;
        foreach (var (start, length) in Ranges(disk, plain, runs))
        {
            for (var offset = start; offset < start + length && done < MaxComparedLength; offset += pieceSize)
            {
                var count = (int)Math.Min(pieceSize, start + length - offset);
                done += count;
                buffer.Span.Fill(0xA5);
                var status = await disk.Device.ReadAsync(offset, buffer.Slice(0, count));
                if (status == BlockStatus.OutOfRange || !Enum.IsDefined(status))
                {
                    throw new OracleException($"Reading {count} bytes at {offset} of {disk.Length} answers {status}.");
                }

                for (var at = 0; at < count && plain is not null; at += 512)
                {
                    var expected = TryReadSector(plain, (offset + at) / 512);
                    if (status == BlockStatus.Ok && expected is not null && !expected.AsSpan().SequenceEqual(buffer.Span.Slice(at, 512)))
                    {
                        return new OracleException($"Sector {(offset + at) / 512} differs from the independent reader's.");
                    }
                }
            }
        }

        return RequireZeros(disk, plain, runs);
    }

    private static IEnumerable<(long Offset, long Length)> Ranges(VirtualDisk disk, PlainChain? plain, List<BlockRun>? runs)
    {
        if (disk.Length <= MaxComparedLength)
        {
            yield return (0, disk.Length);
            yield break;
        }

        yield return (disk.Length - 512, 512);
        foreach (var run in runs ?? [])
        {
            if (!run.IsZero)
            {
                yield return (run.Offset / 512 * 512, Math.Min(run.Length, disk.Length - (run.Offset / 512 * 512)) / 512 * 512);
            }
        }

        foreach (var (sector, count) in SafePresentRanges(plain))
        {
            yield return (sector * 512, count * 512);
        }
    }

    private static List<(long Sector, long Count)> SafePresentRanges(PlainChain? plain)
    {
        var ranges = new List<(long Sector, long Count)>();
        try
        {
            foreach (var range in plain?.PresentRanges() ?? [])
            {
                ranges.Add(range);
                if (ranges.Count > 100)
                {
                    break;
                }
            }
        }
        catch (PlainFormatException)
        {
            // An entry that leads nowhere: the ranges up to it do.
        }

        return ranges;
    }

    private static OracleException? RequireZeros(VirtualDisk disk, PlainChain? plain, List<BlockRun>? runs)
    {
        if (plain is null || runs is null || disk.Length > MaxComparedLength)
        {
            return null;
        }

        foreach (var run in runs.Where(run => run.IsZero))
        {
            for (var sector = (run.Offset + 511) / 512; (sector + 1) * 512 <= run.Offset + run.Length; sector++)
            {
                if (TryReadSector(plain, sector) is { } expected && expected.AsSpan().ContainsAnyExcept((byte)0))
                {
                    return new OracleException($"The map says that sector {sector} is zero, and it is not.");
                }
            }
        }

        return null;
    }

    private static void RequireHelpful(ImageException exception)
    {
        if (exception.Path is null || exception.Message.Length < 20)
        {
            throw new OracleException($"A refusal without a place: {exception.Message}", exception);
        }
    }

    private static void RequireUnchanged(FuzzCase fuzzCase, MemoryStorageResolver resolver, string doing)
    {
        if (!resolver.Names.SequenceEqual(fuzzCase.Files.Keys.Select(name => "/" + name).Order(StringComparer.Ordinal)))
        {
            throw new OracleException($"Other files are there after {doing}: {string.Join(' ', resolver.Names)}.");
        }

        foreach (var (name, file) in fuzzCase.Files)
        {
            if (!resolver.GetBytes("/" + name).AsSpan().SequenceEqual(file))
            {
                throw new OracleException($"{name} was changed by {doing}.");
            }
        }
    }

    private static void RequireMemoryBound(FuzzCase fuzzCase, long allocated)
    {
        // The independent reader's own arrays are in it: some hundred bytes for each sector that it looks at, and two looks at most.
        var bound = (64L << 20) + (64 * fuzzCase.TotalLength);
        if (allocated > bound)
        {
            throw new OracleException($"{allocated} bytes were allocated for {fuzzCase.TotalLength} bytes of files.");
        }
    }
}
