using System.CommandLine;
using VhdCli.Output;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCli.Commands;

/// <summary>replay: makes the changes that a VHDX's log holds in the file.</summary>
internal sealed class ReplayCommand : Verb
{
    private readonly Argument<string> _file = Values.FileArgument("FILE", "The image: a VHDX that was not closed properly.");
    private readonly Option<bool> _dryRun = Values.Flag("Says what would be done, and changes nothing.", "-n", "--dry-run");
    private readonly Option<bool> _quiet = Values.Flag("Prints nothing but errors.", "-q", "--quiet");
    private readonly Option<ImageFormat?> _format = Values.FormatOption("The image's format; found out from its bytes otherwise.", "-f", "--format");

    public ReplayCommand()
        : base(
            "replay",
            "Makes the changes that a VHDX's log holds in the file itself, for programs that do not replay a log when they read. Reading here does, without "
            + "changing the file. Does nothing to an image that was closed properly.",
            "vhdkit replay disk.vhdx",
            "vhdkit replay --dry-run --output=json disk.vhdx")
    {
        Add(_file);
        Add(_dryRun);
        Add(_quiet);
        AddOutputFormat();
        Add(_format);
        Add(Verbose);
    }

    public override bool Writes => true;

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var path = parsed.GetRequiredValue(_file);
        var options = new ImageOpenOptions { Format = parsed.GetValue(_format), OnWarning = session.Warn };
        var report = await ReplayOperation.RunAsync(path, parsed.GetValue(_dryRun), options, session.Resolver, cancellationToken);
        if (WantsJson(parsed))
        {
            JsonText.Print(session, json =>
            {
                json.WriteStartObject();
                json.WriteString("filename"u8, report.Path);
                json.WriteString("format"u8, Values.NameOf(report.Format));
                json.WriteBoolean("dirty"u8, report.WasDirty);
                json.WriteBoolean("replayed"u8, report.IsReplayed);
                json.WriteNumber("entries"u8, report.EntryCount);
                json.WriteNumber("updates"u8, report.UpdateCount);
                json.WriteString("log-guid"u8, report.LogGuid);
                json.WriteNumber("file-length-before"u8, report.FileLengthBefore);
                json.WriteNumber("file-length-after"u8, report.FileLengthAfter);
                json.WriteEndObject();
            });
        }
        else if (!parsed.GetValue(_quiet))
        {
            session.Write(Text(report));
        }

        return ExitCode.Ok;
    }

    private static string Text(ReplayReport report) => !report.WasDirty
        ? "Nothing to replay: the image was closed properly.\n"
        : report.IsReplayed
            ? $"Replayed {report.EntryCount} log entries with {report.UpdateCount} updates. The file has {report.FileLengthAfter} bytes; it had {report.FileLengthBefore}.\n"
            : $"Would replay {report.EntryCount} log entries with {report.UpdateCount} updates. Nothing was changed.\n";
}
