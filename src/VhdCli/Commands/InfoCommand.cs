using System.CommandLine;
using VhdCli.Output;
using VhdCore.Operations;

namespace VhdCli.Commands;

/// <summary>info: says what an image is.</summary>
internal sealed class InfoCommand : Verb
{
    private readonly Argument<string> _file = Values.FileArgument("FILE", "The image.");
    private readonly Option<bool> _chain = Values.Flag("Goes on to the image's parents.", "--backing-chain");
    private readonly OpenFlags _open;

    public InfoCommand()
        : base(
            "info",
            "Says what an image is, also where opening it would be refused.",
            "vhdkit info disk.vhd",
            "vhdkit info --backing-chain --output=json snapshot.vhd")
    {
        Add(_file);
        Add(_chain);
        AddOutputFormat();
        _open = new OpenFlags(this);
        Add(Verbose);
    }

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var wholeChain = parsed.GetValue(_chain);
        var options = _open.Read(parsed, session) with { OnWarning = null }; // the result has them all
        var images = await InfoOperation.RunAsync(parsed.GetRequiredValue(_file), options, session.Resolver, wholeChain, cancellationToken);
        if (WantsJson(parsed))
        {
            InfoJson.Print(session, images, wholeChain);
        }
        else
        {
            session.Write(InfoText.Of(images));
        }

        foreach (var image in images)
        {
            foreach (var warning in image.Warnings)
            {
                var place = warning.Contains(image.Path, StringComparison.Ordinal) ? "" : image.Path + ": ";
                session.Say($"{(image.IsRefused && ReferenceEquals(warning, image.Warnings[0]) ? "refused" : "warning")}: {place}{warning}");
            }
        }

        return ExitCode.Ok;
    }
}
