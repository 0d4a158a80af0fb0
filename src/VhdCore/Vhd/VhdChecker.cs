using System.Buffers.Binary;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>
/// Finds everything that is wrong with one VHD, its parents aside. Reads all structures, every block's bitmap, and of dynamic disks the data of sectors
/// whose bit is clear; takes the table and eight bytes a block of memory.
/// </summary>
internal sealed class VhdChecker
{
    private const int ChunkSize = 1 << 20; // bytes
    private const long MaxExtraEntries = VhdLayout.MaxBlockCount; // entries behind the disk's that are looked at

    private readonly IStorage _storage;
    private readonly VhdMetadata _metadata;
    private readonly FindingList _findings;
    private readonly CancellationToken _cancellationToken;

    private VhdChecker(IStorage storage, VhdMetadata metadata, FindingList findings, CancellationToken cancellationToken)
    {
        _storage = storage;
        _metadata = metadata;
        _findings = findings;
        _cancellationToken = cancellationToken;
    }

    /// <summary>Checks the image. Refuses nothing, writes nothing.</summary>
    /// <exception cref="Errors.StorageException">The medium failed.</exception>
    public static async ValueTask<VhdCheckResult> CheckAsync(IStorage storage, ImageOpenOptions options, CancellationToken cancellationToken)
    {
        var examination = await VhdExaminer.ExamineAsync(storage, options, cancellationToken).ConfigureAwait(false);
        var findings = new FindingList();
        var isPoisoned = examination.Findings.Any(finding => finding.Id == VhdFindingId.FooterPoisoned);
        foreach (var finding in examination.Findings)
        {
            findings.Add(isPoisoned ? finding with { IsRepairable = false } : finding);
        }

        if (!examination.HasUsableTable)
        {
            var footerEnd = examination.Metadata is { EndFooterOffset: >= 0 } metadata ? metadata.EndFooterOffset + metadata.EndFooterLength : 0;
            return new VhdCheckResult { Findings = findings.ToSorted(), Metadata = examination.Metadata, ImageEndOffset = footerEnd };
        }

        return await new VhdChecker(storage, examination.Metadata!, findings, cancellationToken).CheckTableAsync().ConfigureAwait(false);
    }

    private async ValueTask<VhdCheckResult> CheckTableAsync()
    {
        var entries = await ReadTableAsync().ConfigureAwait(false);
        await CheckExtraEntriesAsync().ConfigureAwait(false);
        var problems = VhdBatValidator.AllProblems(entries, _metadata, _storage.Length);
        AddProblems(problems);
        var misplaced = problems.Listed.Where(problem => problem.IsFatal).Select(problem => problem.BlockIndex).ToHashSet();
        var blocks = new VhdBlockChecker(_storage, _metadata, entries, misplaced, _findings);
        await blocks.CheckAsync(_cancellationToken).ConfigureAwait(false);
        var (imageEnd, leaks) = VhdLeakFinder.Find(entries, _metadata, _storage.Length, _storage.Traits.IsBlockDevice);
        if (!_metadata.Footer.IsPoisoned)
        {
            // In the middle of a resize, what nothing uses may be what the journal is about to use.
            foreach (var leak in leaks)
            {
                _findings.Add(leak);
            }
        }

        return new VhdCheckResult
        {
            Findings = _findings.ToSorted(),
            Metadata = _metadata,
            TotalBlocks = entries.Length,
            AllocatedBlocks = entries.Length - entries.AsSpan().Count(VhdLayout.UnusedEntry),
            ImageEndOffset = imageEnd,
        };
    }

    private async ValueTask<uint[]> ReadTableAsync()
    {
        var entries = new uint[_metadata.BlockCount];
        var next = 0;
        await ScanTableAsync(0, entries.Length, chunk =>
        {
            for (var i = 0; i < chunk.Length; i += VhdLayout.BatEntrySize)
            {
                entries[next++] = BinaryPrimitives.ReadUInt32BigEndian(chunk.Span[i..]);
            }
        }).ConfigureAwait(false);
        return entries;
    }

    private async ValueTask CheckExtraEntriesAsync()
    {
        long used = 0;
        var count = Math.Min(_metadata.Header!.MaxTableEntries - (long)_metadata.BlockCount, MaxExtraEntries);
        await ScanTableAsync(_metadata.BlockCount, count, chunk =>
        {
            for (var i = 0; i < chunk.Length; i += VhdLayout.BatEntrySize)
            {
                used += BinaryPrimitives.ReadUInt32BigEndian(chunk.Span[i..]) == VhdLayout.UnusedEntry ? 0 : 1;
            }
        }).ConfigureAwait(false);
        if (used > 0)
        {
            _findings.Add(new Finding(
                VhdFindingId.BatExtraEntries, FindingSeverity.Warning, "block allocation table", EntryOffset(_metadata.BlockCount),
                $"Behind the disk's {_metadata.BlockCount} entries, {used} more are in use. They belong to no part of the disk: it was made smaller, or its size is damaged. Some readers take them for blocks."));
        }
    }

    private async ValueTask ScanTableAsync(long first, long count, Action<ReadOnlyMemory<byte>> scan)
    {
        var offset = EntryOffset(first);
        var left = count * VhdLayout.BatEntrySize;
        var chunk = new byte[(int)Math.Min(left, ChunkSize)];
        while (left > 0)
        {
            var run = chunk.AsMemory(0, (int)Math.Min(left, chunk.Length));
            await _storage.ReadExactAsync(offset, run, "the block allocation table", _cancellationToken).ConfigureAwait(false);
            scan(run);
            offset += run.Length;
            left -= run.Length;
        }
    }

    private long EntryOffset(long index) => (long)_metadata.Header!.TableOffset + (index * VhdLayout.BatEntrySize);

    private void AddProblems(VhdBatProblems problems)
    {
        foreach (var problem in problems.Listed)
        {
            var severity = problem.Kind == VhdBatProblemKind.CutShort ? FindingSeverity.Warning : FindingSeverity.Corruption;
            _findings.Add(new Finding(
                Id(problem.Kind), severity, "block allocation table", problem.EntryOffset(_metadata), problem.Describe(_metadata, _storage.Length)));
        }

        foreach (var kind in Enum.GetValues<VhdBatProblemKind>())
        {
            _findings.AddUnlisted(Id(kind), problems.Count(kind) - VhdBatProblems.MaxPerKind);
        }
    }

    private static string Id(VhdBatProblemKind kind) => kind switch
    {
        VhdBatProblemKind.BeyondEnd => VhdFindingId.BatBeyondEnd,
        VhdBatProblemKind.InMetadata => VhdFindingId.BatInMetadata,
        VhdBatProblemKind.Overlap => VhdFindingId.BatOverlap,
        VhdBatProblemKind.CutShort => VhdFindingId.BatCutShort,
        _ => VhdFindingId.BatOverAuxiliary,
    };
}
