using System.CommandLine;
using System.Globalization;
using System.Text;
using VhdCli.Output;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCli.Commands;

/// <summary>check: reports everything that is wrong with an image.</summary>
internal sealed class CheckCommand : Verb
{
    private readonly Argument<string> _file = Values.FileArgument("FILE", "The image. Of a chain, each image is checked by itself.");
    private readonly Option<bool> _quiet = Values.Flag("Prints nothing but errors.", "-q", "--quiet");
    private readonly Option<string?> _cache = CacheModes.Option("-T", "The same as --cache.");
    private readonly OpenFlags _open;

    public CheckCommand()
        : base(
            "check",
            "Reports everything that is wrong or odd with an image, and changes nothing. Exits with 0 when it is sound, 2 when it is corrupt, "
            + "3 when space is leaked and nothing else, 1 when it could not be checked, 63 for a format without anything to check.",
            "vhdkit check disk.vhd",
            "vhdkit check --output=json disk.vhd")
    {
        Add(_file);
        Add(_quiet);
        Add(_cache);
        AddOutputFormat();
        _open = new OpenFlags(this);
        Add(Verbose);
    }

    public override int ExitCodeOf(Exception error) => ExitCode.CheckFailed;

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var path = parsed.GetRequiredValue(_file);
        var report = await CheckOperation.RunAsync(path, _open.Read(parsed, session, parsed.GetValue(_cache)), session.Resolver, cancellationToken);
        if (report is { Format: ImageFormat.Raw, Findings.Count: 0 })
        {
            session.Say("This image format does not support checks");
            return ExitCode.CheckUnsupported;
        }

        var corruptions = report.Findings.Count(finding => finding.Severity == CheckSeverity.Corruption);
        var leaks = report.Findings.Count(finding => finding.Severity == CheckSeverity.Leak);
        if (WantsJson(parsed))
        {
            PrintJson(session, report, corruptions, leaks);
        }
        else if (!parsed.GetValue(_quiet))
        {
            session.Write(Text(report, corruptions, leaks));
        }

        return corruptions > 0 ? ExitCode.CheckCorrupt : leaks > 0 ? ExitCode.CheckLeaks : ExitCode.Ok;
    }

    private static string Text(CheckReport report, int corruptions, int leaks)
    {
        var text = new StringBuilder();
        foreach (var finding in report.Findings)
        {
            var place = finding.FileOffset is { } offset ? string.Create(CultureInfo.InvariantCulture, $" at 0x{offset:x}") : "";
            text.Append($"{NameOf(finding.Severity)}: {finding.Id}: {finding.Structure}{place}: {finding.Message}\n");
        }

        if (corruptions == 0 && leaks == 0)
        {
            text.Append("No errors were found on the image.\n");
        }

        if (corruptions > 0)
        {
            text.Append($"\n{corruptions} errors were found on the image.\nData may be corrupted, or further writes to the image may corrupt it.\n");
        }

        if (leaks > 0)
        {
            text.Append($"\n{leaks} leaked clusters were found on the image.\nThis means waste of disk space, but no harm to data.\n");
        }

        if (report is { TotalBlocks: > 0, AllocatedBlocks: > 0 })
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"{report.AllocatedBlocks}/{report.TotalBlocks} = {100.0 * report.AllocatedBlocks / report.TotalBlocks:0.00}% allocated, 0.00% fragmented, 0.00% compressed clusters\n");
        }

        if (report.ImageEndOffset > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"Image end offset: {report.ImageEndOffset}\n");
        }

        return text.ToString();
    }

    private static void PrintJson(CliSession session, CheckReport report, int corruptions, int leaks) => JsonText.Print(session, json =>
    {
        json.WriteStartObject();
        json.WriteNumber("image-end-offset"u8, report.ImageEndOffset);
        json.WriteNumber("total-clusters"u8, report.TotalBlocks);
        json.WriteNumber("allocated-clusters"u8, report.AllocatedBlocks);
        json.WriteNumber("check-errors"u8, 0);
        if (corruptions > 0)
        {
            json.WriteNumber("corruptions"u8, corruptions);
        }

        if (leaks > 0)
        {
            json.WriteNumber("leaks"u8, leaks);
        }

        json.WriteString("filename"u8, report.Path);
        json.WriteString("format"u8, Values.NameOf(report.Format));
        json.WriteStartArray("findings"u8);
        foreach (var finding in report.Findings)
        {
            json.WriteStartObject();
            json.WriteString("id"u8, finding.Id);
            json.WriteString("severity"u8, NameOf(finding.Severity));
            json.WriteString("structure"u8, finding.Structure);
            if (finding.FileOffset is { } offset)
            {
                json.WriteNumber("file-offset"u8, offset);
            }
            else
            {
                json.WriteNull("file-offset"u8);
            }

            json.WriteString("message"u8, finding.Message);
            json.WriteBoolean("repairable"u8, finding.IsRepairable);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    private static string NameOf(CheckSeverity severity) => severity switch
    {
        CheckSeverity.Note => "note",
        CheckSeverity.Warning => "warning",
        CheckSeverity.Leak => "leak",
        _ => "corruption",
    };
}
