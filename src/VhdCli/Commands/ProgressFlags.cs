using System.CommandLine;
using VhdCli.Output;

namespace VhdCli.Commands;

/// <summary>The options of verbs that may take long: -p, -q and --progress.</summary>
internal sealed class ProgressFlags
{
    private readonly Option<bool> _percent = Values.Flag("Shows progress on stderr as qemu-img does.", "-p");
    private readonly Option<bool> _quiet = Values.Flag("Prints nothing but errors.", "-q", "--quiet");
    private readonly Option<string?> _form = Values.WordOption(
        "Progress on stderr: bar, ndjson (a JSON object a line) or none. A bar otherwise, where stderr is a terminal and it takes longer than a second.",
        "FORM",
        ["bar", "ndjson", "none"],
        "--progress");

    public ProgressFlags(Command command)
    {
        command.Add(_percent);
        command.Add(_quiet);
        command.Add(_form);
    }

    /// <summary>Nothing but errors is wanted.</summary>
    public bool IsQuiet(ParseResult parsed) => parsed.GetValue(_quiet);

    /// <summary>The display asked for. Disposing of it ends it.</summary>
    public ProgressDisplay Start(ParseResult parsed, CliSession session)
    {
        if (IsQuiet(parsed))
        {
            return new ProgressDisplay();
        }

        return parsed.GetValue(_form) switch
        {
            "ndjson" => new NdjsonProgress(session),
            "bar" => new BarProgress(session),
            "none" => new ProgressDisplay(),
            _ => parsed.GetValue(_percent) ? new PercentProgress(session)
                : session.ErrorIsTerminal() ? new BarProgress(session) : new ProgressDisplay(),
        };
    }
}
