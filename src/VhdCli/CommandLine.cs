using System.CommandLine;
using System.Reflection;
using VhdCli.Commands;
using VhdCli.Output;

namespace VhdCli;

/// <summary>From arguments to an exit code.</summary>
internal static class CommandLine
{
    private const string Description = "Reads, writes, converts and checks virtual hard disk images and chains of them.";

    private static readonly (string Name, Func<Verb> Create)[] Verbs =
    [
        ("info", static () => new InfoCommand()),
        ("create", static () => new CreateCommand()),
        ("convert", static () => new ConvertCommand()),
        ("map", static () => new MapCommand()),
        ("check", static () => new CheckCommand()),
        ("compare", static () => new CompareCommand()),
        ("measure", static () => new MeasureCommand()),
        ("read", static () => new ReadCommand()),
        ("write", static () => new WriteCommand()),
        ("hash", static () => new HashCommand()),
        ("replay", static () => new ReplayCommand()),
    ];

    /// <summary>Runs the program.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, CliSession session, CancellationToken cancellationToken)
    {
        if (args.Count == 1 && args[0] is "--version" or "-V")
        {
            session.Write($"vhdkit {Version()}\n");
            return ExitCode.Ok;
        }

        var verb = args.Count > 0 ? Create(args[0]) : null;
        if (args.TakeWhile(static arg => arg != "--").Any(static arg => arg is "--help" or "-h" or "-?"))
        {
            session.Write(HelpText(verb));
            return ExitCode.Ok;
        }

        // A file may be called @name: no response files.
        var parsed = ((Command?)verb ?? BuildTree()).Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0 || verb is null)
        {
            var messages = verb is null && args.Count > 0 && args[0] is var unknown && !unknown.StartsWith('-')
                ? [$"Command not found: {unknown}"]
                : parsed.Errors.Select(error => error.Message).DefaultIfEmpty("a verb is missing");
            return Misused(session, verb, messages);
        }

        session.IsVerbose = parsed.GetValue(verb.Verbose);
        session.JsonErrors = verb.WantsJson(parsed);
        if (verb.Writes)
        {
            session.CatchSignals();
        }

        try
        {
            return await verb.RunAsync(parsed, session, cancellationToken);
        }
        catch (UsageException misuse)
        {
            return Misused(session, verb, [misuse.Message]);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            session.Say("interrupted");
            return ExitCode.Interrupted;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            ErrorReport.Write(session, error);
            return verb.ExitCodeOf(error);
        }
        catch (Exception error)
        {
            ErrorReport.WriteInternal(session, error);
            return ExitCode.Error;
        }
    }

    // A verb's options are only built when it is asked for, and the tree of all verbs only to show it: starting is most of what a short verb costs.
    private static Verb? Create(string name)
    {
        foreach (var verb in Verbs)
        {
            if (verb.Name == name)
            {
                return verb.Create();
            }
        }

        return null;
    }

    private static RootCommand BuildTree()
    {
        var root = new RootCommand(Description);
        foreach (var verb in Verbs)
        {
            root.Add(verb.Create());
        }

        return root;
    }

    private static int Misused(CliSession session, Verb? verb, IEnumerable<string> messages)
    {
        foreach (var message in messages)
        {
            session.Say(message);
        }

        session.Error.WriteLine();
        session.Error.Write(HelpText(verb));
        session.Error.Flush();
        return ExitCode.Error;
    }

    private static string HelpText(Verb? verb)
    {
        var root = BuildTree();
        using var text = new StringWriter { NewLine = "\n" };
        string[] args = verb is null ? ["--help"] : [verb.Name, "--help"];
        root.Parse(args).Invoke(new InvocationConfiguration { Output = text, Error = text });
        if (verb is not null)
        {
            text.WriteLine("Examples:");
            foreach (var example in verb.Examples)
            {
                text.WriteLine("  " + example);
            }
        }
        else
        {
            text.WriteLine("Examples:\n  vhdkit convert disk.vhd disk.raw\n  vhdkit convert --help");
        }

        return text.ToString();
    }

    private static string Version() =>
        typeof(CommandLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";
}
