using System.CommandLine;
using System.CommandLine.Help;
using System.Reflection;
using VhdCli.Commands;
using VhdCli.Output;

namespace VhdCli;

/// <summary>From arguments to an exit code.</summary>
internal static class CommandLine
{
    private const string Description = "Reads, writes, converts and checks virtual hard disk images and chains of them.";

    // A verb's options are only built when it is asked for: starting is most of what a short verb costs.
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

        var root = BuildTree(args.Count > 0 ? args[0] : null);
        var parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null }); // a file may be called @name
        var verb = parsed.CommandResult.Command as Verb;
        if (parsed.Action is HelpAction)
        {
            session.Write(HelpText(root, verb));
            return ExitCode.Ok;
        }

        if (parsed.Errors.Count > 0 || verb is null)
        {
            var messages = verb is null && args.Count > 0 && args[0] is var unknown && !unknown.StartsWith('-')
                ? [$"Command not found: {unknown}"]
                : parsed.Errors.Select(error => error.Message).DefaultIfEmpty("a verb is missing");
            return Misused(session, root, verb, messages);
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
            return Misused(session, root, verb, [misuse.Message]);
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

    private static RootCommand BuildTree(string? verbName)
    {
        var root = new RootCommand(Description);
        var chosen = Array.FindIndex(Verbs, verb => verb.Name == verbName);
        for (var i = 0; i < Verbs.Length; i++)
        {
            if (chosen < 0 || i == chosen)
            {
                root.Add(Verbs[i].Create());
            }
        }

        return root;
    }

    private static int Misused(CliSession session, RootCommand root, Verb? verb, IEnumerable<string> messages)
    {
        foreach (var message in messages)
        {
            session.Say(message);
        }

        session.Error.WriteLine();
        session.Error.Write(HelpText(root, verb));
        session.Error.Flush();
        return ExitCode.Error;
    }

    private static string HelpText(RootCommand root, Verb? verb)
    {
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
