using System.Diagnostics;

namespace VhdCore.Vhdx;

/// <summary>Pages of the BAT and of sector bitmaps that say more in memory than in the file. Guarded by the table's lock.</summary>
internal sealed class VhdxDirtyPages
{
    private Changes _changes = new();
    private Changes? _committing;
    private HashSet<VhdxTablePage> _applying = [];
    private volatile bool _isDirty;

    /// <summary>There are changes that no commit has taken.</summary>
    public bool IsDirty => _isDirty;

    /// <summary>Everything in memory is in the log at least.</summary>
    public bool IsClean => !_isDirty && Volatile.Read(ref _committing) is null;

    public int Count => _changes.Pages.Count;

    /// <summary>A page has been changed. It stays in memory until it stands in the file.</summary>
    public void Add(VhdxTablePage page)
    {
        Debug.Assert(page.IsPinned);
        _changes.Pages.Add(page);
        _isDirty = true;
    }

    /// <summary>The changes make payload, or a place, reachable that may not be durable.</summary>
    public void NeedsBarrier() => _changes.NeedsBarrier = true;

    /// <summary>Neither a change nor a commit under way concerns the page.</summary>
    public bool IsCommitted(VhdxTablePage page) => !_changes.Pages.Contains(page) && _committing?.Pages.Contains(page) != true;

    /// <summary>Takes the changes for a commit, with the bytes as they are now.</summary>
    public (List<VhdxPageImage> Images, bool NeedsBarrier) TakeCommit()
    {
        var changes = _changes;
        _committing = changes;
        _changes = new Changes();
        _isDirty = false;
        return (ImagesOfCommit(), changes.NeedsBarrier);
    }

    /// <summary>The pages of the commit under way, with the bytes as they are now.</summary>
    /// <remarks>
    /// In an order in which a commit may be cut into parts, each durable before the next: bits before what makes them count, and the BAT from its end, because a
    /// bitmap's entry stands behind those of the blocks that need it.
    /// </remarks>
    public List<VhdxPageImage> ImagesOfCommit() =>
        [.. _committing!.Pages.OrderBy(page => page.IsBitmap ? page.FileOffset - long.MaxValue : -page.FileOffset).Select(page => new VhdxPageImage(page.FileOffset, page.ToBytes()))];

    /// <summary>The commit's entry is durable, though its pages may not stand in the file yet.</summary>
    public void CommitIsDurable()
    {
        var pages = _committing!.Pages;
        Volatile.Write(ref _committing, new Changes());
        _applying = pages;
    }

    /// <summary>The commit's pages stand in the file: what reads them from there reads the truth.</summary>
    /// <returns>Those that have not changed again.</returns>
    public List<VhdxTablePage> CommitEnded()
    {
        var pages = _applying.Where(page => !_changes.Pages.Contains(page)).ToList();
        _applying = [];
        Volatile.Write(ref _committing, null);
        return pages;
    }

    private sealed class Changes
    {
        public HashSet<VhdxTablePage> Pages { get; } = [];

        public bool NeedsBarrier { get; set; }
    }
}
