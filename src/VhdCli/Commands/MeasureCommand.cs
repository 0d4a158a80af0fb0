using System.CommandLine;
using VhdCli.Output;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCli.Commands;

/// <summary>measure: says how large an image would become.</summary>
internal sealed class MeasureCommand : Verb
{
    private readonly Argument<string?> _file = new("FILE") { Description = "The image that would be converted.", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<long?> _size = Values.SizeOption("Measures an empty image of this size instead.", "--size");
    private readonly Option<ImageFormat?> _targetFormat = Values.FormatOption("The format to measure for; raw otherwise.", "-O", "--output-format");
    private readonly CreateFlags _create;
    private readonly OpenFlags _open;

    public MeasureCommand()
        : base(
            "measure",
            "Says how large a new image's file would be: with the source's content, and with every block allocated. "
            + "Blocks that hold nothing but zeros count as content where the source's tables do not know better.",
            "vhdkit measure -O vhd disk.raw",
            "vhdkit measure -O vhd -o subformat=fixed --size 64G --output=json",
            "vhdkit measure -O vhdx --block-size=1M disk.raw")
    {
        Add(_file);
        Add(_size);
        Add(_targetFormat);
        AddOutputFormat();
        _create = new CreateFlags(this);
        _open = new OpenFlags(this);
        Add(Verbose);
    }

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var format = parsed.GetValue(_targetFormat) ?? ImageFormat.Raw;
        if (_create.Help(parsed, format) is { } help)
        {
            session.Write(help);
            return ExitCode.Ok;
        }

        var path = parsed.GetValue(_file);
        var options = _create.Read(parsed, session, format, parsed.GetValue(_size));
        MeasureResult result;
        if (path is null && options.Size is not null)
        {
            result = MeasureOperation.OfEmpty(options);
        }
        else if (path is not null && options.Size is null)
        {
            await using var source = await DiskOpening.OpenAsync(session, path, _open.Read(parsed, session), cancellationToken);
            result = await MeasureOperation.RunAsync(source.Device, CreateFlags.KeepSectors(options, source.Images[0]), cancellationToken);
        }
        else
        {
            throw new UsageException("Either --size N or one filename must be specified.");
        }

        if (WantsJson(parsed))
        {
            JsonText.Print(session, json =>
            {
                json.WriteStartObject();
                json.WriteNumber("required"u8, result.Required);
                json.WriteNumber("fully-allocated"u8, result.FullyAllocated);
                json.WriteEndObject();
            });
        }
        else
        {
            session.Write($"required size: {result.Required}\nfully allocated size: {result.FullyAllocated}\n");
        }

        return ExitCode.Ok;
    }
}
