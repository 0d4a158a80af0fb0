using System.CommandLine;
using System.Diagnostics;
using VhdCli.Output;
using VhdCore.Operations;

namespace VhdCli.Commands;

/// <summary>hash: hashes a disk's whole content.</summary>
internal sealed class HashCommand : Verb
{
    private readonly Argument<string> _file = Values.FileArgument("FILE", "The image; of a chain, the leaf.");
    private readonly Option<bool> _tree = Values.Flag("The tree hash of docs/tree-hash.md: on all cores, and holes cost nothing.", "--tree");
    private readonly Option<int?> _jobs = Values.NumberOption("Blocks in work at once for --tree, from 1 to 64.", 1, 64, "-m", "--jobs");
    private readonly OpenFlags _open;
    private readonly ProgressFlags _progress;

    public HashCommand()
        : base(
            "hash",
            "Hashes a disk's whole content: SHA-256 as of a raw file of it, or a tree hash. Equal content gives equal hashes, whatever the formats.",
            "vhdkit hash disk.vhd",
            "vhdkit hash --tree --output=json snapshot.vhd")
    {
        Add(_file);
        Add(_tree);
        Add(_jobs);
        AddOutputFormat();
        _progress = new ProgressFlags(this);
        _open = new OpenFlags(this);
        Add(Verbose);
    }

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var path = parsed.GetRequiredValue(_file);
        var asTree = parsed.GetValue(_tree);
        await using var disk = await DiskOpening.OpenAsync(session, path, _open.Read(parsed, session), cancellationToken);
        var clock = Stopwatch.StartNew();
        byte[] hash;
        using (var progress = _progress.Start(parsed, session))
        {
            hash = asTree
                ? await HashOperation.RunTreeAsync(disk.Device, parsed.GetValue(_jobs), progress, cancellationToken)
                : await HashOperation.RunAsync(disk.Device, progress, cancellationToken);
        }

        session.Trace($"hashed {disk.Length} bytes in {clock.ElapsedMilliseconds} ms");
        var text = Convert.ToHexStringLower(hash);
        if (!WantsJson(parsed))
        {
            session.Write($"{text}  {path}\n");
            return ExitCode.Ok;
        }

        JsonText.Print(session, json =>
        {
            json.WriteStartObject();
            json.WriteString("filename"u8, path);
            json.WriteNumber("virtual-size"u8, disk.Length);
            json.WriteString("algorithm"u8, asTree ? "vhdkit-tree-sha256"u8 : "sha256"u8);
            json.WriteString("hash"u8, text);
            json.WriteEndObject();
        });
        return ExitCode.Ok;
    }
}
