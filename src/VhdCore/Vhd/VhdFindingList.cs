namespace VhdCore.Vhd;

/// <summary>Findings of a check, a bounded number of each id; the rest is counted.</summary>
internal sealed class VhdFindingList
{
    /// <summary>Findings kept of each id.</summary>
    public const int MaxPerId = 1000;

    private readonly List<VhdFinding> _findings = [];
    private readonly Dictionary<string, (long Count, VhdFinding Last)> _seen = [];

    public void Add(VhdFinding finding)
    {
        var count = _seen.TryGetValue(finding.Id, out var seen) ? seen.Count + 1 : 1;
        if (count <= MaxPerId)
        {
            _findings.Add(finding);
            _seen[finding.Id] = (count, finding);
        }
        else
        {
            _seen[finding.Id] = (count, seen.Last);
        }
    }

    /// <summary>Counts findings that were found and not kept.</summary>
    public void AddUnlisted(string id, long count)
    {
        if (count > 0)
        {
            _seen[id] = (_seen[id].Count + count, _seen[id].Last);
        }
    }

    /// <summary>Everything in the order of file offsets, and behind the last of each id how many more there are.</summary>
    public IReadOnlyList<VhdFinding> ToSorted()
    {
        var all = new List<VhdFinding>(_findings);
        foreach (var (count, last) in _seen.Values)
        {
            if (count > MaxPerId)
            {
                all.Add(last with { Message = $"There are {count - MaxPerId} more findings like this one ({count} in all); they are not listed." });
            }
        }

        return [.. all.OrderBy(finding => finding.FileOffset)];
    }
}
