namespace VhdCore.Vhdx;

/// <summary>The findings on one image, in the order it was looked at.</summary>
internal sealed class VhdxFindings
{
    public const string IgnoreChecksumStep =
        "If the image is known to be good otherwise, read it with --ignore-bad-checksum. It is not opened for writing.";

    private readonly List<VhdxFinding> _findings = [];

    public IReadOnlyList<VhdxFinding> All => _findings;

    /// <summary>Nothing so far says that the bytes contradict the format or are not handled: what follows from them can be looked at.</summary>
    public bool CanGoOn => !_findings.Exists(finding => finding.Refusal is VhdxRefusal.Corrupt or VhdxRefusal.Unsupported);

    public void Note(string id, string structure, long fileOffset, string message) =>
        _findings.Add(new VhdxFinding(id, VhdxSeverity.Note, structure, fileOffset, message));

    public void Warn(string id, string structure, long fileOffset, string message, VhdxRefusal refusal = VhdxRefusal.None, bool isRepairable = false) =>
        _findings.Add(new VhdxFinding(id, VhdxSeverity.Warning, structure, fileOffset, message) { Refusal = refusal, IsRepairable = isRepairable });

    public void Corrupt(string id, string structure, long fileOffset, string message, string? nextStep = null, VhdxRefusal refusal = VhdxRefusal.Corrupt)
    {
        var finding = new VhdxFinding(id, VhdxSeverity.Corruption, structure, fileOffset, message) { Refusal = refusal };
        _findings.Add(nextStep is null ? finding : finding with { NextStep = nextStep });
    }

    public void Unsupported(string id, string structure, long fileOffset, string message, string nextStep) =>
        _findings.Add(new VhdxFinding(id, VhdxSeverity.Warning, structure, fileOffset, message) { Refusal = VhdxRefusal.Unsupported, NextStep = nextStep });
}
