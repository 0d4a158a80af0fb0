using System.CommandLine;
using System.Diagnostics;
using System.Numerics;
using VhdCli.Output;
using VhdCli.Targets;
using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCli.Commands;

/// <summary>convert: copies a disk into another image or format.</summary>
internal sealed class ConvertCommand : Verb
{
    private const int DefaultSparseSize = 4096; // bytes
    private const int MaxSparseSize = 1 << 20; // bytes

    private readonly Argument<string> _source = Values.FileArgument("SOURCE", "The image to read; of a chain, the leaf. - is standard input; pipes give raw and VHD.");
    private readonly Argument<string> _target = Values.FileArgument("TARGET", "The image, device or pipe to write; - is standard output. Pipes take raw and VHD.");
    private readonly Option<ImageFormat?> _targetFormat = Values.FormatOption("The target's format; what its extension says otherwise, else raw.", "-O", "--output-format");
    private readonly Option<bool> _existing = Values.Flag("Writes over a target that exists instead of making a new one.", "-n");
    private readonly Option<bool> _targetIsZero = Values.Flag("With -n: the target reads as zeros, so zeros need not be written.", "--target-is-zero");
    private readonly Option<long?> _sparse = Values.SizeOption("Leaves out zeros of so many bytes, 4k by default; 0 writes all zeros out.", "-S", "--sparse-size");
    private readonly Option<long?> _size = Values.SizeOption("Bytes of disk that come from a pipe, where they are known: fewer or more are an error, and nothing has to wait for the end.", "--size");
    private readonly Option<int?> _jobs = Values.NumberOption("Ranges in work at once, from 1 to 64; the number of cores by default, at most 4.", 1, 64, "-m", "--jobs");
    private readonly Option<bool> _outOfOrder = Values.Flag("Writes as soon as something is read, out of order.", "-W");
    private readonly Option<string?> _targetCache = CacheModes.Option("-t", "--cache for the target alone. Whatever it says, the target is flushed once, when it is complete.");
    private readonly Option<string?> _sourceCache = CacheModes.Option("-T", "--cache for the source alone.");
    private readonly Option<bool> _noClone = Values.Flag("Copies every byte, also where the file system could let both files share them.", "--no-clone");
    private readonly Option<bool> _verify = Values.Flag("Reads the target again and compares before it gets its name.", "--verify");
    private readonly CreateFlags _create;
    private readonly OpenFlags _open;
    private readonly ProgressFlags _progress;

    public ConvertCommand()
        : base(
            "convert",
            "Copies a disk, or a whole chain of images, into one image. What is known to be zero is neither read nor written. "
            + "A file that has the target's name is replaced at the end, at once; if anything fails before, it stays as it was.",
            "vhdkit convert snapshot.vhd disk.raw",
            "vhdkit convert -O vhd -o subformat=fixed --verify disk.raw disk.vhd",
            "vhdkit convert --block-size=1M disk.raw linux-guest.vhdx",
            "vhdkit convert -p -n disk.vhd /dev/vg/lv",
            "vhdkit convert -O raw disk.vhd - | zstd > disk.raw.zst",
            "xz -dc disk.vhd.xz | vhdkit convert - disk.vhdx",
            "vhdkit convert -O vhd disk.vhdx - | ssh host 'cat >disk.vhd'")
    {
        Add(_source);
        Add(_target);
        Add(_targetFormat);
        Add(_existing);
        Add(_targetIsZero);
        Add(_sparse);
        Add(_size);
        Add(_jobs);
        Add(_outOfOrder);
        Add(_targetCache);
        Add(_sourceCache);
        Add(_noClone);
        Add(_verify);
        AddOutputFormat();
        _create = new CreateFlags(this);
        _progress = new ProgressFlags(this);
        _open = new OpenFlags(this);
        Add(Verbose);
    }

    public override bool Writes => true;

    public override async Task<int> RunAsync(ParseResult parsed, CliSession session, CancellationToken cancellationToken)
    {
        var sourcePath = parsed.GetRequiredValue(_source);
        var targetPath = parsed.GetRequiredValue(_target);
        var format = Values.FormatFor(parsed.GetValue(_targetFormat), targetPath, "-O", _progress.IsQuiet(parsed), session);
        if (_create.Help(parsed, format) is { } help)
        {
            session.Write(help);
            return ExitCode.Ok;
        }

        await using var stream = await SourceStream.OpenAsync(session, sourcePath, cancellationToken);
        if (stream is not null)
        {
            return await RunAsync(parsed, session, stream, targetPath, format, cancellationToken);
        }

        if (parsed.GetValue(_size) is not null)
        {
            throw new UsageException("--size is for what comes from a pipe: an image says its own.");
        }

        sourcePath = SourceStream.FileName(session, sourcePath);
        await using var source = await DiskOpening.OpenAsync(session, sourcePath, _open.Read(parsed, session, parsed.GetValue(_sourceCache)), cancellationToken);
        if (source.Images[0].SizeRoundedUp)
        {
            session.Say($"warning: {sourcePath}: {source.Images[0].FileLength} bytes are no whole sectors; the disk has {source.Length}, the last ones zero");
        }

        var create = CreateOptions(parsed, session, format, source) with { Io = _open.ReadIo(parsed, session, parsed.GetValue(_targetCache)) };
        await using var target = await OpenTargetAsync(parsed, session, targetPath, source, create, cancellationToken);
        if (target.Device is { } device)
        {
            WarnOfSectors(session, source, device, format);
        }

        var result = await CopyAsync(parsed, session, target, (options, progress) => target.CopyAsync(source.Device, options, progress, cancellationToken));
        await CompleteAsync(parsed, session, target, targetPath, format, source.Length, result, cancellationToken);
        return ExitCode.Ok;
    }

    private async Task<int> RunAsync(ParseResult parsed, CliSession session, SourceStream stream, string targetPath, ImageFormat format, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_verify))
        {
            throw new UsageException("A pipe cannot be read again for --verify: save it to a file first, or compare hashes at both ends.");
        }

        session.Trace($"reading {stream.Name} forwards");
        StreamSource source;
        try
        {
            source = await StreamSource.OpenAsync(stream.Stream, stream.Name, _open.Read(parsed, session), parsed.GetValue(_size), cancellationToken);
        }
        catch (ArgumentException misuse)
        {
            throw new UsageException(misuse.Message);
        }

        session.Trace($"{stream.Name}: {Values.NameOf(source.Format)} {InfoText.Subformat(source.Kind)}, {(source.Length is { } known ? $"{known} bytes" : "of a size that its end will tell")}");
        var create = _create.Read(parsed, session, format, source.Length);
        if (create.Size != source.Length)
        {
            throw new UsageException("-o size makes no sense here: the target has the source's size. Say how much will come with --size.");
        }

        create = create with { Io = _open.ReadIo(parsed, session, parsed.GetValue(_targetCache)) };
        await using var target = await OpenTargetAsync(parsed, session, targetPath, null, create, cancellationToken);
        var result = await CopyAsync(parsed, session, target, (options, progress) => target.CopyAsync(source, options, progress, cancellationToken));
        if (source.LengthBeforeRounding is { } came)
        {
            session.Say($"warning: {stream.Name}: {came} bytes are no whole sectors; the disk has {source.Length}, the last ones zero");
        }

        session.Trace($"{stream.Name} was {Values.NameOf(source.Format)}, {source.Length} bytes of disk");
        await CompleteAsync(parsed, session, target, targetPath, format, source.Length!.Value, result, cancellationToken);
        return ExitCode.Ok;
    }

    private async ValueTask<ConvertTarget> OpenTargetAsync(
        ParseResult parsed, CliSession session, string path, VirtualDisk? source, ImageCreateOptions create, CancellationToken cancellationToken)
    {
        var target = await TargetFinder.OpenAsync(session, path, source, create, parsed.GetValue(_existing), parsed.GetValue(_targetIsZero), cancellationToken);
        if (target is StreamTarget && (parsed.GetValue(_verify) || WantsJson(parsed)))
        {
            await target.DisposeAsync();
            throw new UsageException("A pipe cannot be read again for --verify, and takes nothing but the disk: no --output=json.");
        }

        return target;
    }

    private async ValueTask CompleteAsync(
        ParseResult parsed, CliSession session, ConvertTarget target, string path, ImageFormat format, long size, ConvertResult result, CancellationToken cancellationToken)
    {
        await target.CompleteAsync(cancellationToken);
        session.Trace($"'{path}' is complete");
        if (WantsJson(parsed))
        {
            Print(session, path, format, size, result);
        }
    }

    private ImageCreateOptions CreateOptions(ParseResult parsed, CliSession session, ImageFormat format, VirtualDisk source)
    {
        var options = _create.Read(parsed, session, format, source.Length);
        return options.Size == source.Length ? CreateFlags.KeepSectors(options, source.Images[0]) : throw new UsageException("-o size makes no sense here: the target has the source's size.");
    }

    // A raw image says nothing of sectors; its user does.
    private static void WarnOfSectors(CliSession session, VirtualDisk source, IBlockDevice target, ImageFormat format)
    {
        if (format == ImageFormat.Vhdx && target.Length is var length && length - source.Length is > 0 and < 4096)
        {
            session.Say($"warning: {source.Length} bytes are no whole sectors of {target.Info.LogicalSectorSize}; the target has {length}, the last ones zero");
        }

        var sectorSize = source.Device.Info.LogicalSectorSize;
        if (sectorSize != target.Info.LogicalSectorSize && format != ImageFormat.Raw && source.Images[0].Format != ImageFormat.Raw)
        {
            session.Say(
                $"warning: {source.Images[0].Path} has logical sectors of {sectorSize} bytes, and the target of {target.Info.LogicalSectorSize}: "
                + "the bytes are the same, but a guest that counts in sectors, as partition tables do, finds other ones");
        }
    }

    private static void Print(CliSession session, string path, ImageFormat format, long size, ConvertResult result) => JsonText.Print(session, json =>
    {
        json.WriteStartObject();
        json.WriteString("filename"u8, path);
        json.WriteString("format"u8, Values.NameOf(format));
        json.WriteNumber("virtual-size"u8, size);
        json.WriteNumber("bytes-read"u8, result.BytesRead);
        json.WriteNumber("bytes-written"u8, result.BytesWritten);
        json.WriteNumber("bytes-zero"u8, result.BytesZero);
        json.WriteNumber("bytes-cloned"u8, result.BytesCloned);
        json.WriteEndObject();
    });

    private async ValueTask<ConvertResult> CopyAsync(
        ParseResult parsed, CliSession session, ConvertTarget target, Func<ConvertOptions, IProgress<OperationProgress>, Task<ConvertResult>> copy)
    {
        var verify = parsed.GetValue(_verify);
        var options = new ConvertOptions
        {
            Jobs = parsed.GetValue(_jobs),
            SparseSize = SparseSize(parsed.GetValue(_sparse)),
            TargetIsZero = target.IsZero,
            WriteInOrder = target.NeedsOrder && !parsed.GetValue(_outOfOrder),
            AllowCloning = !parsed.GetValue(_noClone),
            Verify = verify,
        };
        var clock = Stopwatch.StartNew();
        ConvertResult result;
        using (var progress = _progress.Start(parsed, session))
        {
            result = await copy(options, progress);
        }

        session.Trace(
            $"copied in {clock.ElapsedMilliseconds} ms: read {result.BytesRead}, written {result.BytesWritten}, zero {result.BytesZero}, cloned {result.BytesCloned}"
            + (verify ? ", read again and compared" : ""));
        return result;
    }

    private static int SparseSize(long? asked) => asked switch
    {
        null => DefaultSparseSize,
        0 => 0,
        { } size => (int)BitOperations.RoundUpToPowerOf2((ulong)Math.Clamp(size, 512, MaxSparseSize)),
    };
}
