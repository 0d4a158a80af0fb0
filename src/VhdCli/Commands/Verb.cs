using System.CommandLine;

namespace VhdCli.Commands;

/// <summary>One verb: its options, its examples, and what it does.</summary>
internal abstract class Verb : Command
{
    protected Verb(string name, string description, params string[] examples)
        : base(name, description)
    {
        Examples = examples;
        Verbose = new Option<bool>("-v", "--verbose") { Description = "Says on stderr what is opened and done." };
    }

    /// <summary>Command lines that show the verb.</summary>
    public IReadOnlyList<string> Examples { get; }

    /// <summary>Traces are wanted. Every verb adds it last.</summary>
    public Option<bool> Verbose { get; }

    /// <summary>It leaves something to clean up when it is interrupted. What only reads just ends.</summary>
    public virtual bool Writes => false;

    /// <summary>What <c>--output</c> asks for; null in a verb without it.</summary>
    protected Option<string>? OutputFormat { get; private set; }

    /// <summary>Does it.</summary>
    /// <returns>The exit code.</returns>
    public abstract Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken);

    /// <summary>The exit code for a failure.</summary>
    public virtual int ExitCodeOf(Exception error) => ExitCode.Error;

    /// <summary>Whether results and errors are to be JSON.</summary>
    public bool WantsJson(ParseResult parsed) => OutputFormat is not null && parsed.GetValue(OutputFormat) == "json";

    /// <summary>Adds <c>--output</c>.</summary>
    protected void AddOutputFormat()
    {
        OutputFormat = new Option<string>("--output")
        {
            Description = "human or json.",
            HelpName = "FORM",
            DefaultValueFactory = static _ => "human",
        };
        OutputFormat.Validators.Add(static result =>
        {
            if (result.Tokens is [{ Value: not ("human" or "json") }])
            {
                result.AddError("--output must be used with human or json as argument.");
            }
        });
        Add(OutputFormat);
    }
}
