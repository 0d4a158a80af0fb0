using VhdCore.Errors;
using VhdCore.Operations;
using VhdCore.Storage;

namespace VhdCore.Fuzz;

/// <summary>The operations that describe what opening may refuse.</summary>
internal static class Descriptions
{
    private const int MaxFindings = 10_000;

    /// <summary>The ids of everything that the check calls corrupt.</summary>
    public static async Task<IReadOnlyList<string>> CorruptionsAsync(string path, IStorageResolver resolver) =>
    [
        .. (await CheckOperation.RunAsync(path, resolver: resolver)).Findings
            .Where(finding => finding.Severity == CheckSeverity.Corruption)
            .Select(finding => finding.Id)
            .Distinct(),
    ];

    /// <summary>What opening refuses for its bytes, the check calls corrupt.</summary>
    public static async Task RequireFindingAsync(string path, ImageException refusal, IStorageResolver resolver)
    {
        if (refusal.Kind != ImageErrorKind.Corrupt || refusal.Path != path)
        {
            return;
        }

        var report = await CheckOperation.RunAsync(path, resolver: resolver);
        if (report.Findings.All(finding => finding.Severity != CheckSeverity.Corruption))
        {
            throw new OracleException($"The check finds nothing corrupt in what opening refuses: {refusal.Message}");
        }
    }

    public static async Task RunAsync(string path, IStorageResolver resolver)
    {
        try
        {
            foreach (var info in await InfoOperation.RunAsync(path, options: null, resolver, wholeChain: true))
            {
                if (info.FileLength < 0 || info.VirtualSize < 0)
                {
                    throw new OracleException($"{path} is described as having {info.VirtualSize} bytes in {info.FileLength}.");
                }
            }
        }
        catch (ImageException)
        {
        }

        try
        {
            var report = await CheckOperation.RunAsync(path, resolver: resolver);
            if (report.Findings.Count > MaxFindings)
            {
                throw new OracleException($"{report.Findings.Count} findings for {path}.");
            }

            if (report.Findings.FirstOrDefault(finding => finding.Message.Length == 0 || finding.Id.Length == 0) is { } empty)
            {
                throw new OracleException($"A finding without words for {path}: {empty}");
            }
        }
        catch (ImageException)
        {
        }
    }
}
