using System.Text;
using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCli;

/// <summary>What a run of the program reads from and writes to.</summary>
internal sealed class CliSession : IDisposable
{
    private readonly Lock _errorLock = new();
    private readonly Lazy<Stream> _input;
    private readonly Lazy<Stream> _output;
    private readonly Lazy<TextWriter> _error;

    public CliSession(Func<Stream> input, Func<Stream> output, Func<TextWriter> error)
    {
        _input = new Lazy<Stream>(input);
        _output = new Lazy<Stream>(output);
        _error = new Lazy<TextWriter>(error);
    }

    /// <summary>Standard input, opened when first asked for.</summary>
    public Stream Input => _input.Value;

    /// <summary>Standard output, opened when first asked for.</summary>
    public Stream Output => _output.Value;

    /// <summary>Standard error, opened when first asked for.</summary>
    public TextWriter Error => _error.Value;

    /// <summary>Whether standard error is a terminal.</summary>
    public Func<bool> ErrorIsTerminal { get; init; } = static () => false;

    /// <summary>Whether standard output is a terminal.</summary>
    public Func<bool> OutputIsTerminal { get; init; } = static () => false;

    /// <summary>Whether standard input is a terminal.</summary>
    public Func<bool> InputIsTerminal { get; init; } = static () => false;

    /// <summary>A name for standard input where it is a file or block device that stands at its start; null for pipes and the like.</summary>
    public Func<string?> InputFile { get; init; } = static () => null;

    /// <summary>Makes the signals that end a process cancel the run instead, so that it can clean up.</summary>
    public Action CatchSignals { get; init; } = static () => { };

    /// <summary>Where names become storages.</summary>
    public IStorageResolver Resolver { get; init; } = new FileStorageResolver();

    /// <summary>Environment variables.</summary>
    public Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

    /// <summary>Traces are wanted.</summary>
    public bool IsVerbose { get; set; }

    /// <summary>Errors are shown as JSON.</summary>
    public bool JsonErrors { get; set; }

    /// <summary>Writes text to standard output.</summary>
    public void Write(string text)
    {
        Output.Write(Encoding.UTF8.GetBytes(text));
        Output.Flush();
    }

    /// <summary>Writes a line to standard error. Any thread.</summary>
    public void WriteError(string line)
    {
        lock (_errorLock)
        {
            Error.WriteLine(line);
        }
    }

    /// <summary>Writes a message to standard error, under the program's name. Any thread.</summary>
    public void Say(string message) => WriteError("vhdkit: " + message);

    /// <summary>Writes a warning to standard error. Any thread.</summary>
    public void Warn(ImageWarning warning) => Say($"warning: {warning.Path}: {warning.Message}");

    /// <summary>Writes a line to standard error where traces are wanted.</summary>
    public void Trace(string message)
    {
        if (IsVerbose)
        {
            Say("trace: " + message);
        }
    }

    public void Dispose()
    {
        if (_error.IsValueCreated)
        {
            Error.Flush();
        }
    }
}
