using System.Buffers;
using System.CommandLine;

namespace VhdCli.Commands;

/// <summary>write: bytes from a file or standard input onto a disk.</summary>
internal sealed class WriteCommand : Verb
{
    private const int ChunkSize = 1 << 20; // bytes

    private readonly Argument<string> _file = Values.FileArgument("FILE", "The image; of a chain, the leaf. It alone is changed.");
    private readonly Option<long?> _offset = Values.SizeOption("Where on the disk to begin; 0 otherwise.", "--offset");
    private readonly Option<long?> _length = Values.SizeOption("How many bytes; up to the input's end otherwise.", "--length");
    private readonly Option<string?> _in = new("--in") { Description = "The file to read; standard input otherwise, and for -.", HelpName = "FILE" };
    private readonly OpenFlags _open;

    public WriteCommand()
        : base(
            "write",
            "Copies bytes from a file or standard input onto a disk, at any offset, and makes them durable. The image is changed in place.",
            "vhdkit write disk.vhd --in boot.bin",
            "printf hello | vhdkit write disk.vhd --offset 1M")
    {
        Add(_file);
        Add(_offset);
        Add(_length);
        Add(_in);
        _open = new OpenFlags(this, forWriting: true);
        Add(Verbose);
    }

    public override bool Writes => true;

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var inPath = parsed.GetValue(_in);
        var source = inPath is null or "-" ? session.Input : new FileStream(inPath, FileMode.Open, FileAccess.Read, FileShare.Read);
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            await using var disk = await DiskOpening.OpenAsync(session, parsed.GetRequiredValue(_file), _open.Read(parsed, session), cancellationToken);
            var offset = parsed.GetValue(_offset) ?? 0;
            var wanted = parsed.GetValue(_length);
            CheckRoom(offset, wanted ?? (source.CanSeek ? source.Length - source.Position : 0), disk.Length);
            var left = wanted ?? long.MaxValue;
            while (left > 0)
            {
                var chunk = buffer.AsMemory(0, (int)Math.Min(left, ChunkSize));
                var count = await source.ReadAtLeastAsync(chunk, chunk.Length, throwOnEndOfStream: false, cancellationToken);
                CheckRoom(offset, count, disk.Length);
                await disk.WriteAsync(offset, chunk[..count], cancellationToken: cancellationToken);
                offset += count;
                left -= count;
                if (count < chunk.Length)
                {
                    break;
                }
            }

            await disk.FlushAsync(cancellationToken);
            if (wanted is not null && left > 0)
            {
                throw new IOException($"the input ended {left} bytes before the {wanted} that --length asks for; what there was is written.");
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            if (source != session.Input)
            {
                await source.DisposeAsync();
            }
        }

        return ExitCode.Ok;
    }

    private static void CheckRoom(long offset, long length, long diskLength)
    {
        if (offset > diskLength || length > diskLength - offset)
        {
            throw new UsageException($"{length} bytes at {offset} do not lie inside the disk, which has {diskLength} bytes.");
        }
    }
}
