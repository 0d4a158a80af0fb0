using System.Diagnostics;

namespace VhdCore.Testing;

/// <summary>What a program did.</summary>
/// <param name="CommandLine">As it could be typed; for messages.</param>
/// <param name="ExitCode">Its exit code.</param>
/// <param name="Output">Standard output.</param>
/// <param name="Error">Standard error.</param>
internal sealed record ToolResult(string CommandLine, int ExitCode, string Output, string Error)
{
    /// <summary>Fails the test unless the program succeeded.</summary>
    public ToolResult EnsureSuccess()
    {
        Assert.True(ExitCode == 0, $"{CommandLine}\nended with {ExitCode}:\n{Output}{Error}");
        return this;
    }
}

/// <summary>Programs of other makers that tests compare with.</summary>
internal static class Tools
{
    /// <summary>The program's path, or null where PATH has none.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .SelectMany(folder => new[] { Path.Combine(folder, program), Path.Combine(folder, program + ".exe") })
        .FirstOrDefault(File.Exists);

    /// <summary>The program's path; skips the calling test, with the reason, where there is none.</summary>
    public static string Require(string program)
    {
        var path = Find(program);
        Assert.SkipUnless(path is not null, $"{program} is not installed: nothing to compare with.");
        return path!;
    }

    /// <summary>Runs a program to its end; skips the calling test where it is not installed.</summary>
    public static ToolResult Run(string program, params string[] arguments) => Run(program, arguments, Patience.Hang);

    /// <summary>Runs a program to its end, and fails the test if that takes longer than <paramref name="timeout"/>; the program is ended then.</summary>
    /// <param name="program">A path, or a name to look for on PATH; the calling test is skipped where there is none.</param>
    /// <param name="arguments">One string each, never split or quoted.</param>
    /// <param name="timeout">From its start.</param>
    /// <param name="input">Standard input; null closes it at once.</param>
    /// <param name="environment">Variables set for it; a null value removes one.</param>
    public static ToolResult Run(
        string program,
        IReadOnlyList<string> arguments,
        TimeSpan timeout,
        string? input = null,
        IReadOnlyDictionary<string, string?>? environment = null)
    {
        var start = new ProcessStartInfo(Path.IsPathFullyQualified(program) ? program : Require(program), arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["LC_ALL"] = "C";
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }

        var commandLine = string.Join(' ', arguments.Prepend(program));
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        if (!process.WaitForExit(timeout))
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
            Assert.Fail($"{commandLine}\ndid not end within {timeout}.");
        }

        return new ToolResult(commandLine, process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }
}
