using System.CommandLine;
using VhdCli.Output;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCli.Commands;

/// <summary>compare: finds the first difference of two disks.</summary>
internal sealed class CompareCommand : Verb
{
    private readonly Argument<string> _first = Values.FileArgument("FILE1", "One image.");
    private readonly Argument<string> _second = Values.FileArgument("FILE2", "The other.");
    private readonly Option<ImageFormat?> _secondFormat = Values.FormatOption("The second image's format.", "-F");
    private readonly Option<bool> _strict = Values.Flag("Sizes and allocation must be equal too.", "-s", "--strict");
    private readonly Option<string?> _cache = CacheModes.Option("-T", "The same as --cache.");
    private readonly Option<int?> _jobs = Values.NumberOption("Ranges in work at once, from 1 to 64.", 1, 64, "-m", "--jobs");
    private readonly OpenFlags _open;
    private readonly ProgressFlags _progress;
    private bool _isOpen;

    public CompareCommand()
        : base(
            "compare",
            "Compares two disks' contents. Exits with 0 when they are identical, 1 when they differ, 2 when an image cannot be opened, 4 when reading fails. "
            + "A longer disk is identical if its tail is zero, unless -s is given.",
            "vhdkit compare disk.vhd disk.raw",
            "vhdkit compare -s -f raw -F vhd before.raw after.vhd")
    {
        Add(_first);
        Add(_second);
        Add(_secondFormat);
        Add(_strict);
        Add(_cache);
        Add(_jobs);
        AddOutputFormat();
        _progress = new ProgressFlags(this);
        _open = new OpenFlags(this);
        Add(Verbose);
    }

    public override int ExitCodeOf(Exception error) => _isOpen ? ExitCode.CompareReadFailed : ExitCode.CompareOpenFailed;

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var options = _open.Read(parsed, session, parsed.GetValue(_cache));
        await using var first = await DiskOpening.OpenAsync(session, parsed.GetRequiredValue(_first), options, cancellationToken);
        await using var second = await DiskOpening.OpenAsync(
            session, parsed.GetRequiredValue(_second), options with { Format = parsed.GetValue(_secondFormat) }, cancellationToken);
        _isOpen = true;
        CompareResult result;
        using (var progress = _progress.Start(parsed, session))
        {
            var compareOptions = new CompareOptions { Strict = parsed.GetValue(_strict), Jobs = parsed.GetValue(_jobs) };
            result = await CompareOperation.RunAsync(first.Device, second.Device, compareOptions, progress, cancellationToken);
        }

        if (WantsJson(parsed))
        {
            PrintJson(session, result, first, second);
        }
        else if (!_progress.IsQuiet(parsed))
        {
            session.Write(Text(result));
        }

        return result.AreIdentical ? ExitCode.Ok : ExitCode.CompareDiffers;
    }

    private static string Text(CompareResult result)
    {
        if (result.Difference == CompareDifference.Length)
        {
            return "Strict mode: Image size mismatch!\n";
        }

        return (result.LengthsDiffer ? "Warning: Image size mismatch!\n" : "") + result.Difference switch
        {
            CompareDifference.Allocation => $"Strict mode: Offset {result.DifferenceOffset} block status mismatch!\n",
            CompareDifference.Content => $"Content mismatch at offset {result.DifferenceOffset}!\n",
            _ => "Images are identical.\n",
        };
    }

    private static void PrintJson(CliSession session, CompareResult result, VirtualDisk first, VirtualDisk second) => JsonText.Print(session, json =>
    {
        json.WriteStartObject();
        json.WriteBoolean("identical"u8, result.AreIdentical);
        json.WriteString("difference"u8, result.Difference switch
        {
            CompareDifference.Length => "length",
            CompareDifference.Allocation => "allocation",
            CompareDifference.Content => "content",
            _ => "none",
        });
        if (result.DifferenceOffset >= 0)
        {
            json.WriteNumber("offset"u8, result.DifferenceOffset);
        }

        json.WriteStartArray("virtual-sizes"u8);
        json.WriteNumberValue(first.Length);
        json.WriteNumberValue(second.Length);
        json.WriteEndArray();
        json.WriteEndObject();
    });
}
