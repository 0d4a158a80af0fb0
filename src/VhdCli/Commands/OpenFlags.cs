using System.CommandLine;
using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCli.Commands;

/// <summary>The options of every verb that opens an image.</summary>
internal sealed class OpenFlags
{
    private readonly Option<ImageFormat?> _format = Values.FormatOption("The image's format; found out from its bytes otherwise.", "-f", "--format");
    private readonly Option<bool> _forceShare = Values.Flag("Reads although another process may be writing.", "-U", "--force-share");
    private readonly Option<string?> _forceSize = Values.WordOption(
        "Which of a VHD's sizes is the disk's: chs or current. By its creator otherwise.", "SIZE", ["chs", "current"], "--force-size");

    private readonly Option<bool> _ignoreBadChecksum = Values.Flag("Reads past a wrong checksum, with a warning.", "--ignore-bad-checksum");
    private readonly Option<bool> _ignoreParentId = Values.Flag("Takes a parent whose identifier is not the one the child names.", "--ignore-parent-id");
    private readonly Option<bool> _noParent = Values.Flag("Follows no parent: an image that needs one is refused.", "--no-parent");
    private readonly Option<string?> _parentRoot = new("--parent-root") { Description = "Follows parents only in or below this folder, and looks for them in it by name too.", HelpName = "DIR" };

    private readonly IoFlags _io;

    public OpenFlags(Command command, bool forWriting = false)
    {
        command.Add(_format);
        if (!forWriting)
        {
            command.Add(_forceShare);
        }

        command.Add(_forceSize);
        if (!forWriting)
        {
            command.Add(_ignoreBadChecksum);
        }

        command.Add(_ignoreParentId);
        command.Add(_noParent);
        command.Add(_parentRoot);
        _io = new IoFlags(command);
        IsForWriting = forWriting;
    }

    private bool IsForWriting { get; }

    /// <summary>How what is written beside the images is to be reached.</summary>
    public IoSettings ReadIo(ParseResult parsed, CliSession session, string? cacheWord) => _io.Read(parsed, session, cacheWord);

    /// <summary>What was asked for.</summary>
    public ImageOpenOptions Read(ParseResult parsed, CliSession session, string? cacheWord = null)
    {
        var noParent = parsed.GetValue(_noParent);
        var parentRoot = parsed.GetValue(_parentRoot);
        if (noParent && parentRoot is not null)
        {
            throw new UsageException("--no-parent and --parent-root exclude each other.");
        }

        return new ImageOpenOptions
        {
            Writable = IsForWriting,
            Format = parsed.GetValue(_format),
            Sharing = !IsForWriting && parsed.GetValue(_forceShare) ? StorageSharing.Force : StorageSharing.Default,
            VhdSize = parsed.GetValue(_forceSize) switch
            {
                "chs" => VhdSizeChoice.Chs,
                "current" => VhdSizeChoice.Current,
                _ => VhdSizeChoice.ByCreator,
            },
            IgnoreBadChecksum = !IsForWriting && parsed.GetValue(_ignoreBadChecksum),
            IgnoreParentId = parsed.GetValue(_ignoreParentId),
            Parents = noParent ? ParentPolicy.Refuse : parentRoot is not null ? ParentPolicy.BelowRoot : ParentPolicy.Follow,
            ParentRoot = parentRoot,
            Io = _io.Read(parsed, session, cacheWord),
            OnWarning = session.Warn,
        };
    }
}
