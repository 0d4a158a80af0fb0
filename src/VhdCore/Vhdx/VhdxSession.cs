using VhdCore.Errors;
using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// What a file goes through from the first change to a clean close: new identifiers in the header, a log of its own, rounds, and no log again.
/// </summary>
/// <remarks>
/// The first change writes a header with new FileWriteGuid and DataWriteGuid and no LogGuid, and the log's first, empty entry; one flush makes both durable, and only then
/// may anything else change. The header that names the log comes with the first round, when that entry is known to be there: a reader must refuse a
/// LogGuid without a sequence. Two headers are never in flight at once.
/// </remarks>
internal sealed class VhdxSession(IStorage storage, VhdxHeader header, SlotPool pool, Lock tableLock, VhdxIdentifiers identifiers)
{
    private readonly VhdxHeaderUpdater _headers = new(storage, header);
    private readonly int _maxPages = VhdxLogWriter.MaxPages(header.LogLength);
    private VhdxLogWriter? _log; // null before the first change
    private BlockStatus _fault = BlockStatus.Ok; // why it did not start
    private bool _isLogNamed; // the header has our LogGuid

    /// <summary>Changes may be made.</summary>
    public bool IsStarted => Volatile.Read(ref _log) is not null;

    /// <summary>Pages that one entry can have.</summary>
    public int MaxPages => _maxPages;

    /// <summary>
    /// Announces the first change and makes the announcement durable, then gives the file the length that everything in it needs. One call at a time, before
    /// anything else changes. What failed once is not tried again: nobody knows which header is durable.
    /// </summary>
    /// <param name="length">Bytes that the file shall have; what lies behind is of no use.</param>
    public async ValueTask<BlockStatus> StartAsync(long length)
    {
        if (_fault != BlockStatus.Ok)
        {
            return _fault;
        }

        var log = new VhdxLogWriter(storage, header, storage.Length, identifiers);
        var status = await AnnounceAsync(log, length).ConfigureAwait(false);
        if (status == BlockStatus.Ok && storage.Length != length)
        {
            // An entry that a replay may begin with says already how much of the file is enough.
            status = await storage.SetLengthAsync(length).ConfigureAwait(false);
            status = status == BlockStatus.Ok ? await FlushAsync(log).ConfigureAwait(false) : status;
        }

        if (status == BlockStatus.Ok)
        {
            Volatile.Write(ref _log, log);
        }

        _fault = status;
        return status;
    }

    /// <summary>Flushes the storage.</summary>
    public ValueTask<BlockStatus> FlushAsync() => FlushAsync(_log);

    /// <summary>Puts pages into the log and makes them durable there: from then on they count.</summary>
    /// <param name="pages">Not none, at most <see cref="MaxPages"/>.</param>
    /// <param name="lastFileOffset">Bytes that the file needs for all that they point at.</param>
    public async ValueTask<BlockStatus> LogAsync(IReadOnlyList<VhdxPageImage> pages, long lastFileOffset)
    {
        var status = await MakeRoomAsync(pages.Count, lastFileOffset).ConfigureAwait(false);
        if (status == BlockStatus.Ok)
        {
            status = await NameLogAsync().ConfigureAwait(false);
        }

        if (status == BlockStatus.Ok)
        {
            status = await _log!.WriteEntryAsync(pages, lastFileOffset).ConfigureAwait(false);
        }

        if (status == BlockStatus.Ok && Sabotage.Is(SabotagePoint.LogBeforePages))
        {
            status = await ApplyAsync(pages).ConfigureAwait(false);
        }

        return status == BlockStatus.Ok && !Sabotage.Is(SabotagePoint.TableBarrier) ? await FlushAsync().ConfigureAwait(false) : status;
    }

    /// <summary>Puts the pages of the last <see cref="LogAsync"/> in their places, unsynced.</summary>
    public ValueTask<BlockStatus> ApplyAsync(IReadOnlyList<VhdxPageImage> pages) => _log!.ApplyAsync(pages);

    /// <summary>
    /// Takes the log out of use. All is committed and applied. Then cuts off what the file has behind <paramref name="endOfData"/>.
    /// </summary>
    public async ValueTask<BlockStatus> CloseAsync(long endOfData)
    {
        var status = Sabotage.Is(SabotagePoint.CloseBarrier) ? BlockStatus.Ok : await FlushAsync().ConfigureAwait(false);
        var wasNamed = _isLogNamed;
        if (status == BlockStatus.Ok && wasNamed)
        {
            status = await WriteCleanHeaderAsync().ConfigureAwait(false);
        }

        if (status == BlockStatus.Ok && identifiers.AreReproducible)
        {
            // How often was committed is a matter of time.
            status = await StorageZeros.WriteAsync(storage, (long)header.LogOffset, header.LogLength).ConfigureAwait(false);
        }

        if (status == BlockStatus.Ok && storage.Length > endOfData)
        {
            // Nothing is replayed any more, so that no entry misses what is cut off.
            status = await storage.SetLengthAsync(endOfData).ConfigureAwait(false);
        }

        return status == BlockStatus.Ok ? await WriteCleanHeaderAsync().ConfigureAwait(false) : status;
    }

    private async ValueTask<BlockStatus> AnnounceAsync(VhdxLogWriter log, long length)
    {
        var status = await _headers.WriteAsync(_headers.Current with
        {
            FileWriteGuid = identifiers.NextGuid(),
            DataWriteGuid = identifiers.NextGuid(),
            LogGuid = Guid.Empty,
        }).ConfigureAwait(false);
        if (status == BlockStatus.Ok)
        {
            status = await log.WriteEntryAsync([], length, flushedLimit: length).ConfigureAwait(false);
        }

        return status == BlockStatus.Ok && !Sabotage.Is(SabotagePoint.SessionBarrier) ? await FlushAsync(log).ConfigureAwait(false) : status;
    }

    private async ValueTask<BlockStatus> WriteCleanHeaderAsync()
    {
        var status = await _headers.WriteAsync(_headers.Current with { LogGuid = Guid.Empty }).ConfigureAwait(false);
        _isLogNamed = false;
        return status == BlockStatus.Ok && !Sabotage.Is(SabotagePoint.HeaderBarrier) ? await FlushAsync().ConfigureAwait(false) : status;
    }

    private async ValueTask<BlockStatus> NameLogAsync()
    {
        if (_isLogNamed)
        {
            return BlockStatus.Ok;
        }

        _isLogNamed = true;
        return await _headers.WriteAsync(_headers.Current with { LogGuid = _log!.LogGuid }).ConfigureAwait(false);
    }

    /// <summary>Where the ring is full: everything in it has been applied, so one more flush and an empty entry free it.</summary>
    private async ValueTask<BlockStatus> MakeRoomAsync(int pageCount, long lastFileOffset)
    {
        if (_log!.HasRoomFor(pageCount))
        {
            return BlockStatus.Ok;
        }

        var status = await FlushAsync().ConfigureAwait(false);
        if (status == BlockStatus.Ok)
        {
            status = await _log.WriteEntryAsync([], lastFileOffset).ConfigureAwait(false);
        }

        return status == BlockStatus.Ok ? await FlushAsync().ConfigureAwait(false) : status;
    }

    private async ValueTask<BlockStatus> FlushAsync(VhdxLogWriter? log)
    {
        long stamp;
        lock (tableLock)
        {
            stamp = pool.FlushStarts();
        }

        log?.FlushStarts();
        var status = await storage.FlushAsync().ConfigureAwait(false);
        if (status == BlockStatus.Ok)
        {
            log?.FlushEnded();
            lock (tableLock)
            {
                pool.FlushEnded(stamp);
            }
        }

        return status;
    }
}
