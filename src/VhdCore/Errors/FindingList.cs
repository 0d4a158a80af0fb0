namespace VhdCore.Errors;

/// <summary>The findings on one image, a bounded number of each id; the rest is counted.</summary>
internal sealed class FindingList
{
    /// <summary>Findings kept of each id.</summary>
    public const int MaxPerId = 1000;

    private readonly List<Finding> _findings = [];
    private readonly Dictionary<string, (long Count, Finding Last)> _seen = [];

    /// <summary>Those kept, in the order in which the image was looked at.</summary>
    public IReadOnlyList<Finding> All => _findings;

    /// <summary>Goes on where the bytes are only of a kind or state that is not handled.</summary>
    public bool IsLenient { get; init; }

    /// <summary>Nothing so far says that the bytes contradict the format or are not handled: what follows from them can be looked at.</summary>
    public bool CanGoOn { get; private set; } = true;

    public void Add(Finding finding)
    {
        CanGoOn &= finding.Refusal != FindingRefusal.Corrupt && (IsLenient || finding.Refusal != FindingRefusal.Unsupported);
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

    /// <summary>Worth knowing; nothing is wrong.</summary>
    public void Note(string id, string structure, long fileOffset, string message) =>
        Add(new Finding(id, FindingSeverity.Note, structure, fileOffset, message));

    /// <summary>Odd, or unsafe with some reader.</summary>
    public void Warn(string id, string structure, long fileOffset, string message, FindingRefusal refusal = FindingRefusal.None, bool isRepairable = false) =>
        Add(new Finding(id, FindingSeverity.Warning, structure, fileOffset, message) { Refusal = refusal, IsRepairable = isRepairable });

    /// <summary>The bytes contradict the format.</summary>
    public void Corrupt(string id, string structure, long fileOffset, string message, string? nextStep = null, FindingRefusal refusal = FindingRefusal.Corrupt)
    {
        var finding = new Finding(id, FindingSeverity.Corruption, structure, fileOffset, message) { Refusal = refusal };
        Add(nextStep is null ? finding : finding with { NextStep = nextStep });
    }

    /// <summary>The image may be sound, but is not handled.</summary>
    public void Unsupported(string id, string structure, long fileOffset, string message, string nextStep) =>
        Add(new Finding(id, FindingSeverity.Warning, structure, fileOffset, message) { Refusal = FindingRefusal.Unsupported, NextStep = nextStep });

    /// <summary>Counts findings that were found and not kept. One of the id was added before.</summary>
    public void AddUnlisted(string id, long count)
    {
        if (count > 0)
        {
            _seen[id] = (_seen[id].Count + count, _seen[id].Last);
        }
    }

    /// <summary>Everything in the order of file offsets, and behind the last of each id how many more there are.</summary>
    public IReadOnlyList<Finding> ToSorted()
    {
        var all = new List<Finding>(_findings);
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
