using System.CommandLine;
using System.Text;
using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCli.Commands;

/// <summary>map: lists where a disk's bytes are.</summary>
internal sealed class MapCommand : Verb
{
    private const int FlushAt = 32 << 10; // characters gathered before they are written

    private readonly Argument<string> _file = Values.FileArgument("FILE", "The image; of a chain, the leaf.");
    private readonly Option<long?> _start = Values.SizeOption("Begins at this offset of the disk.", "-s", "--start-offset");
    private readonly Option<long?> _length = Values.SizeOption("Lists at most so many bytes of the disk.", "-l", "--max-length");
    private readonly OpenFlags _open;

    public MapCommand()
        : base(
            "map",
            "Lists where a disk's bytes are: in which image of the chain, where in its file, or nowhere because they are zeros.",
            "vhdkit map snapshot.vhd",
            "vhdkit map --output=json --start-offset=1G --max-length=64M disk.vhd")
    {
        Add(_file);
        Add(_start);
        Add(_length);
        AddOutputFormat();
        _open = new OpenFlags(this);
        Add(Verbose);
    }

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        await using var disk = await DiskOpening.OpenAsync(session, parsed.GetRequiredValue(_file), _open.Read(parsed, session), cancellationToken);
        var asJson = WantsJson(parsed);
        var text = new StringBuilder(asJson ? "[" : "Offset          Length          Mapped to       File\n");
        var isFirst = true;
        await foreach (var run in MapOperation.RunAsync(disk.Device, parsed.GetValue(_start) ?? 0, parsed.GetValue(_length), cancellationToken))
        {
            if (asJson)
            {
                text.Append(isFirst ? "" : ",\n");
                AppendJson(text, run, disk);
                isFirst = false;
            }
            else if (!run.IsZero)
            {
                text.Append($"{Hex(run.Offset),-16}{Hex(run.Length),-16}{Hex(run.StorageOffset),-16}{disk.Images[run.Depth].Path}\n");
            }

            if (text.Length > FlushAt)
            {
                session.Write(text.ToString());
                text.Clear();
            }
        }

        text.Append(asJson ? "]\n" : "");
        session.Write(text.ToString());
        return ExitCode.Ok;
    }

    // Only a differencing image lets a parent show through; where no image has a run, all others answer for it themselves.
    private static bool IsPresent(in BlockRun run, VirtualDisk disk) => run.IsPresent || disk.Images[run.Depth].Kind != ImageKind.Differencing;

    private static void AppendJson(StringBuilder text, in BlockRun run, VirtualDisk disk)
    {
        text.Append($"{{ \"start\": {run.Offset}, \"length\": {run.Length}, \"depth\": {run.Depth}, \"present\": {Bool(IsPresent(run, disk))}, ");
        text.Append($"\"zero\": {Bool(run.IsZero)}, \"data\": {Bool(!run.IsZero)}");
        if (run.StorageOffset >= 0)
        {
            text.Append($", \"offset\": {run.StorageOffset}");
        }

        text.Append('}');
    }

    private static string Bool(bool value) => value ? "true" : "false";

    private static string Hex(long value) => value == 0 ? "0" : $"0x{value:x}";
}
