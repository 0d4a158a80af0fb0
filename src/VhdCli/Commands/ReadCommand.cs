using System.Buffers;
using System.CommandLine;
using VhdCli.Targets;

namespace VhdCli.Commands;

/// <summary>read: bytes of a disk to a file or standard output.</summary>
internal sealed class ReadCommand : Verb
{
    private const int ChunkSize = 1 << 20; // bytes

    private readonly Argument<string> _file = Values.FileArgument("FILE", "The image; of a chain, the leaf.");
    private readonly Option<long?> _offset = Values.SizeOption("Where on the disk to begin; 0 otherwise.", "--offset");
    private readonly Option<long?> _length = Values.SizeOption("How many bytes; up to the disk's end otherwise.", "--length");
    private readonly Option<string?> _out = new("--out") { Description = "The file to write; standard output otherwise, and for -.", HelpName = "FILE" };
    private readonly OpenFlags _open;

    public ReadCommand()
        : base(
            "read",
            "Copies bytes of a disk, at any offset, to a file or standard output.",
            "vhdkit read disk.vhd --length 512 | xxd",
            "vhdkit read disk.vhd --offset 1M --length 64k --out part.bin")
    {
        Add(_file);
        Add(_offset);
        Add(_length);
        Add(_out);
        _open = new OpenFlags(this);
        Add(Verbose);
    }

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        await using var disk = await DiskOpening.OpenAsync(session, parsed.GetRequiredValue(_file), _open.Read(parsed, session), cancellationToken);
        var offset = parsed.GetValue(_offset) ?? 0;
        var length = parsed.GetValue(_length) ?? Math.Max(0, disk.Length - offset);
        if (offset > disk.Length || length > disk.Length - offset)
        {
            throw new UsageException($"{length} bytes at {offset} do not lie inside the disk, which has {disk.Length} bytes.");
        }

        var outPath = parsed.GetValue(_out);
        if (outPath is not (null or "-"))
        {
            TargetFinder.RefuseSource(session, outPath, disk);
        }

        var target = outPath is null or "-" ? session.Output : new FileStream(outPath, FileMode.Create, FileAccess.Write);
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            while (length > 0)
            {
                var part = buffer.AsMemory(0, (int)Math.Min(length, ChunkSize));
                await disk.ReadAsync(offset, part, cancellationToken);
                await target.WriteAsync(part, cancellationToken);
                offset += part.Length;
                length -= part.Length;
            }

            await target.FlushAsync(cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            if (target != session.Output)
            {
                await target.DisposeAsync();
            }
        }

        return ExitCode.Ok;
    }
}
