using System.Text;
using System.Text.Json;
using VhdCore.Storage;

namespace VhdCli.Tests;

/// <summary>What a run of the program in this process came to.</summary>
internal sealed record CliResult(string CommandLine, int ExitCode, byte[] Bytes, string Error)
{
    public string Output => Encoding.UTF8.GetString(Bytes);

    public JsonElement Json => JsonDocument.Parse(Bytes).RootElement;

    /// <summary>Fails the test unless the run succeeded.</summary>
    public CliResult EnsureSuccess() => EnsureExit(0);

    public CliResult EnsureExit(int expected)
    {
        Assert.True(ExitCode == expected, $"vhdkit {CommandLine}\nended with {ExitCode} instead of {expected}:\n{Output}{Error}");
        return this;
    }
}

/// <summary>Runs the program in this process.</summary>
internal static class Cli
{
    public static Task<CliResult> RunAsync(params string[] args) => RunAsync(args, null);

    public static async Task<CliResult> RunAsync(
        string[] args,
        byte[]? input,
        IReadOnlyDictionary<string, string>? environment = null,
        IStorageResolver? resolver = null,
        CancellationToken cancellationToken = default)
    {
        using var inStream = new MemoryStream(input ?? []);
        using var outStream = new MemoryStream();
        using var error = new StringWriter();
        using var session = new CliSession(() => inStream, () => outStream, () => TextWriter.Synchronized(error))
        {
            Environment = name => environment?.GetValueOrDefault(name),
            Resolver = resolver ?? new FileStorageResolver(),
        };
        var exitCode = await CommandLine.RunAsync(args, session, cancellationToken);
        return new CliResult(string.Join(' ', args), exitCode, outStream.ToArray(), error.ToString());
    }
}
