using System.CommandLine;
using VhdCli.Output;
using VhdCore.Disks;
using VhdCore.Formats;

namespace VhdCli.Commands;

/// <summary>create: makes a new, empty image.</summary>
internal sealed class CreateCommand : Verb
{
    private readonly Argument<string> _file = Values.FileArgument("FILE", "The new image. A file of that name is replaced, unless it is in use.");
    private readonly Argument<long?> _sizeArgument = new("SIZE")
    {
        Description = "Bytes of virtual disk, such as 64G; the parent's otherwise.",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = Values.ParseSize,
    };

    private readonly Option<long?> _size = Values.SizeOption("The same as SIZE.", "--size");
    private readonly Option<ImageFormat?> _format = Values.FormatOption("The image's format; what the name's extension says otherwise, else raw.", "-f", "--format");
    private readonly Option<string?> _parent = new("-b", "--backing") { Description = "The parent: makes a differencing image over it.", HelpName = "PARENT" };
    private readonly Option<ImageFormat?> _parentFormat = Values.FormatOption("The parent's format; found out from its bytes otherwise.", "-F", "--backing-format");
    private readonly Option<bool> _quiet = Values.Flag("Prints nothing but errors.", "-q", "--quiet");
    private readonly CreateFlags _create;

    public CreateCommand()
        : base(
            "create",
            "Makes a new image. With SOURCE_DATE_EPOCH set and --uuid given it comes out the same every time.",
            "vhdkit create disk.vhd 64G",
            "vhdkit create -f vhd -o subformat=fixed fixed.vhd 20M",
            "vhdkit create --block-size=1M linux-guest.vhdx 64G",
            "vhdkit create -b base.vhd snapshot.vhd")
    {
        Add(_file);
        Add(_sizeArgument);
        Add(_size);
        Add(_format);
        Add(_parent);
        Add(_parentFormat);
        Add(_quiet);
        AddOutputFormat();
        _create = new CreateFlags(this);
        Add(Verbose);
    }

    public override bool Writes => true;

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var path = parsed.GetRequiredValue(_file);
        var format = Values.FormatFor(parsed.GetValue(_format), path, "-f", parsed.GetValue(_quiet), session);
        if (_create.Help(parsed, format) is { } help)
        {
            session.Write(help);
            return ExitCode.Ok;
        }

        var options = ReadOptions(parsed, session, format);
        await using var disk = await VirtualDisk.CreateAsync(path, options, session.Resolver, cancellationToken);
        DiskOpening.Trace(session, disk);
        if (WantsJson(parsed))
        {
            JsonText.Print(session, json =>
            {
                json.WriteStartObject();
                json.WriteString("filename"u8, path);
                json.WriteString("format"u8, Values.NameOf(format));
                json.WriteNumber("virtual-size"u8, disk.Length);
                json.WriteEndObject();
            });
        }
        else if (!parsed.GetValue(_quiet))
        {
            var parent = options.Parent is { } name ? $" backing_file={name} backing_fmt={Values.NameOf(disk.Images[1].Format)}" : "";
            session.Write($"Formatting '{path}', fmt={Values.NameOf(format)} size={disk.Length}{_create.Echo(parsed)}{parent}\n");
        }

        return ExitCode.Ok;
    }

    private ImageCreateOptions ReadOptions(ParseResult parsed, CliSession session, ImageFormat format)
    {
        var options = _create.Read(parsed, session, format, parsed.GetValue(_sizeArgument) ?? parsed.GetValue(_size));
        if (parsed.GetValue(_parent) is { } parent)
        {
            if (format == ImageFormat.Raw)
            {
                throw new UsageException("Backing file not supported for file format 'raw'");
            }

            options = options with { Kind = ImageKind.Differencing, Parent = parent, ParentFormat = parsed.GetValue(_parentFormat) };
        }

        if (options is { Size: null, Parent: null })
        {
            throw new UsageException("Image creation needs a size parameter");
        }

        return options;
    }
}
