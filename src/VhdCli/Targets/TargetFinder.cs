using VhdCli.Commands;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCli.Targets;

/// <summary>Decides what a target's name means, and opens it.</summary>
internal static class TargetFinder
{
    /// <summary>Opens the target of a conversion.</summary>
    /// <param name="session">The run.</param>
    /// <param name="path">The target's name; - is standard output.</param>
    /// <param name="source">What will be read; null for a stream.</param>
    /// <param name="options">The image to make; of a target that exists only the format counts.</param>
    /// <param name="useExisting">Writes over an image that exists.</param>
    /// <param name="isKnownZero">The user vouches that an image that exists reads as zeros.</param>
    /// <param name="cancellationToken">Ends it; nothing is left behind.</param>
    public static async ValueTask<ConvertTarget> OpenAsync(
        CliSession session,
        string path,
        VirtualDisk? source,
        ImageCreateOptions options,
        bool useExisting,
        bool isKnownZero,
        CancellationToken cancellationToken)
    {
        if (IsStandardOutput(path))
        {
            ExportOperation.Check(options, Shown(path));
            return session.OutputIsTerminal()
                ? throw new StorageException("a disk's bytes are not for a terminal. Send standard output to a file or a pipe, or name a file.", path)
                : new StreamTarget(session.Output, Shown(path), options, ownsStream: false);
        }

        var identity = FileIdentity.Of(path);
        if (source is not null)
        {
            RefuseSource(session, path, source);
        }

        switch (identity.Kind)
        {
            case FileKind.Folder:
                throw new StorageException("it is a folder. Name a file in it.", path);

            case FileKind.Stream:
                ExportOperation.Check(options, path);
                return new StreamTarget(await NamedStream.OpenAsync(path, FileAccess.Write, cancellationToken), path, options, ownsStream: true);

            case FileKind.BlockDevice when !useExisting:
                if (options.Format != ImageFormat.Raw)
                {
                    throw new StorageException(
                        $"a new {Values.NameOf(options.Format)} image is only made in a file. Convert to a file, use -O raw, or -n to write into an image that the device holds.", path);
                }

                return await OpenExistingAsync(session, path, source?.Length ?? options.Size, options, isKnownZero, cancellationToken);

            case FileKind.Missing or FileKind.Regular when !useExisting:
                session.Trace($"creating '{path}', which gets its name when it is complete");
                if (options.Size is null)
                {
                    return await OpenGrowingAsync(session, path, options, cancellationToken);
                }

                return await NewImageTarget.CreateAsync(session, session.Resolver.Canonicalize(path), options, cancellationToken);

            default:
                return await OpenExistingAsync(session, path, source?.Length ?? options.Size, options, isKnownZero, cancellationToken);
        }
    }

    /// <summary>Refuses a name, to be written, of an image that is being read.</summary>
    /// <exception cref="StorageException">It is one of them, by whatever name.</exception>
    public static void RefuseSource(CliSession session, string path, VirtualDisk source)
    {
        var identity = FileIdentity.Of(path);
        var name = session.Resolver.Canonicalize(path);
        for (var depth = 0; depth < source.Images.Count; depth++)
        {
            var image = source.Images[depth].Path;
            if (session.Resolver.Canonicalize(image) == name || FileIdentity.Of(image).IsSameFileAs(identity))
            {
                throw new StorageException(
                    depth == 0 ? "source and target are the same file. Give the target another name."
                    : $"it is a parent of the source '{source.Images[0].Path}'. Give the target another name.", path);
            }
        }
    }

    private static bool IsStandardOutput(string path) => path is "-" or "/dev/stdout" or "/dev/fd/1" or "/proc/self/fd/1";

    private static string Shown(string path) => path == "-" ? "standard output" : path;

    private static async ValueTask<GrowingTarget> OpenGrowingAsync(CliSession session, string path, ImageCreateOptions options, CancellationToken cancellationToken)
    {
        var image = await GrowingImage.CreateAsync(session.Resolver.Canonicalize(path), options, session.Resolver, cancellationToken);
        if (image.IsSpooled)
        {
            session.Say(
                $"only the pipe's end will tell the disk's size, and a new {Values.NameOf(options.Format)} image needs it first: the bytes wait in '{image.TemporaryName}' until then. With --size they need not.");
        }

        return new GrowingTarget(image);
    }

    private static async ValueTask<ConvertTarget> OpenExistingAsync(
        CliSession session, string path, long? sourceLength, ImageCreateOptions options, bool isKnownZero, CancellationToken cancellationToken)
    {
        var open = new ImageOpenOptions { Writable = true, Format = options.Format, Io = options.Io, OnWarning = session.Warn };
        var disk = await DiskOpening.OpenAsync(session, path, open, cancellationToken);
        if (disk.Length >= (sourceLength ?? 0))
        {
            return new ExistingTarget(disk, isKnownZero);
        }

        var length = disk.Length;
        await disk.DisposeAsync();
        throw new StorageException($"output file is smaller than input file: it has {length} bytes, the input {sourceLength}.", path);
    }
}
