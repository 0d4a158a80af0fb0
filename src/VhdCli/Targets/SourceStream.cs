using VhdCore.Errors;

namespace VhdCli.Targets;

/// <summary>A source that can only be read forwards.</summary>
/// <param name="Stream">Where from.</param>
/// <param name="Name">What to call it.</param>
/// <param name="OwnsStream">It is closed when the verb is done.</param>
internal sealed record SourceStream(Stream Stream, string Name, bool OwnsStream) : IAsyncDisposable
{
    /// <summary>Opens what the name of a source stands for.</summary>
    /// <returns>Null for a file or device, which is opened by its name: of standard input, too, where that is a file.</returns>
    /// <exception cref="StorageException">It cannot be opened.</exception>
    public static async ValueTask<SourceStream?> OpenAsync(CliSession session, string path, CancellationToken cancellationToken)
    {
        if (path is "-" or "/dev/stdin" or "/dev/fd/0" or "/proc/self/fd/0")
        {
            return session.InputFile() is not null ? null
                : session.InputIsTerminal() ? throw new StorageException("a disk does not come from a terminal. Send it to standard input from a file or a pipe, or name a file.", path)
                : new SourceStream(session.Input, path == "-" ? "standard input" : path, OwnsStream: false);
        }

        return FileIdentity.Of(path).Kind == FileKind.Stream
            ? new SourceStream(await NamedStream.OpenAsync(path, FileAccess.Read, cancellationToken), path, OwnsStream: true)
            : null;
    }

    /// <summary>The name under which a source that is a file is opened.</summary>
    public static string FileName(CliSession session, string path) => path == "-" && session.InputFile() is { } file ? file : path;

    public ValueTask DisposeAsync() => OwnsStream ? Stream.DisposeAsync() : ValueTask.CompletedTask;
}
