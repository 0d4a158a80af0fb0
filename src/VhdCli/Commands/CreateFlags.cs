using System.CommandLine;
using System.Globalization;
using VhdCore.Formats;
using VhdCore.Primitives;

namespace VhdCli.Commands;

/// <summary>The options of verbs that make an image.</summary>
internal sealed class CreateFlags
{
    private const string RawHelp = """
        Supported raw options:
          preallocation=<str>    - off (default): space is taken as it is written; full: all of it at once
          size=<size>            - Virtual disk size
        """;

    private const string VhdHelp = """
        Supported vhd options:
          block_size=<size>      - Bytes in a block of a dynamic disk, a power of two (2 MiB by default)
          force_size=<bool (on/off)> - on (default): exactly the size asked for; off: rounded up to cylinders, heads and sectors, as --chs-compat does
          size=<size>            - Virtual disk size
          subformat=<str>        - dynamic (default) or fixed
        """;

    private const string VhdxHelp = """
        Supported vhdx options:
          block_size=<size>      - Bytes in a block, a power of two from 1 MiB to 256 MiB (32 MiB by default, 2 MiB with a parent).
                                   1M is best for Linux guests: ext4 spreads small structures over the whole disk, each takes a
                                   block, and a fresh file system is 25 times smaller in blocks of 1 MiB than of 32 MiB
          block_state_zero=<bool (on/off)> - Accepted for compatibility: blocks that were never written are 'not present', as Hyper-V has them
          log_size=<size>        - Bytes of the log, a multiple of 1 MiB (1 MiB by default)
          logical_sector_size=<size>  - 512 or 4096 bytes (the parent's or the source's by default, otherwise 512)
          physical_sector_size=<size> - 512 or 4096 bytes (the parent's or the source's by default, otherwise 4096)
          size=<size>            - Virtual disk size
          subformat=<str>        - dynamic (default) or fixed
        """;

    private readonly Option<string[]> _options = new("-o")
    {
        Description = "Options of the format: NAME=VALUE, several with commas between or several -o; -o help lists them.",
        HelpName = "OPTIONS",
    };

    private readonly Option<long?> _blockSize = Values.SizeOption(
        "Bytes in a block: 2M for a VHD, 32M for a VHDX, and 2M for one with a parent, unless given. For Linux guests give a VHDX --block-size=1M: ext4 spreads small structures over the "
        + "whole disk, each takes a block, and a fresh file system is 25 times smaller than with 32M.",
        "--block-size");

    private readonly Option<long?> _logicalSectorSize = Values.SizeOption(
        "Bytes in a VHDX's logical sector: 512 or 4096; the parent's or the source's otherwise, else 512.", "--logical-sector-size");

    private readonly Option<long?> _physicalSectorSize = Values.SizeOption(
        "Bytes in a VHDX's physical sector: 512 or 4096; the parent's or the source's otherwise, else 4096.", "--physical-sector-size");

    private readonly Option<long?> _logSize = Values.SizeOption("Bytes of a VHDX's log, a multiple of 1M up to 1G; 1M otherwise.", "--log-size");
    private readonly Option<Guid?> _uuid = Values.GuidOption("The new image's identifier; random otherwise.", "--uuid");
    private readonly Option<bool> _chsCompat = Values.Flag(
        "Rounds a VHD's size up to a product of cylinders, heads and sectors, for programs that take that for its size.", "--chs-compat");

    private readonly Option<bool> _preallocate = Values.Flag("Writes a fixed image's space out at once.", "--preallocate");

    public CreateFlags(Command command)
    {
        command.Add(_options);
        command.Add(_blockSize);
        command.Add(_logicalSectorSize);
        command.Add(_physicalSectorSize);
        command.Add(_logSize);
        command.Add(_uuid);
        command.Add(_chsCompat);
        command.Add(_preallocate);
    }

    /// <summary>The text for <c>-o help</c>; null when it was not asked for.</summary>
    public string? Help(ParseResult parsed, ImageFormat format) =>
        Pairs(parsed).Any(pair => pair is "help" or "?") ? HelpOf(format) + "\n" : null;

    private static string HelpOf(ImageFormat format) => format switch
    {
        ImageFormat.Vhd => VhdHelp,
        ImageFormat.Vhdx => VhdxHelp,
        _ => RawHelp,
    };

    /// <summary>The options as they were given, for showing, each in the spelling of <c>-o</c>.</summary>
    public string Echo(ParseResult parsed) => string.Concat(
        Pairs(parsed).Where(pair => !pair.StartsWith("size=", StringComparison.Ordinal)).Concat(Flags(parsed).Select(flag => $"{flag.Name}={flag.Value}")).Select(pair => " " + pair));

    /// <summary>Takes over the sectors of a VHDX that is copied into one: the guest's partition tables count in them.</summary>
    public static ImageCreateOptions KeepSectors(ImageCreateOptions options, ImageInfo source) => options.Format != ImageFormat.Vhdx || source.Vhdx is not { } vhdx ? options : options with
    {
        LogicalSectorSize = options.LogicalSectorSize ?? vhdx.LogicalSectorSize,
        PhysicalSectorSize = options.PhysicalSectorSize ?? vhdx.PhysicalSectorSize,
    };

    /// <summary>What was asked for.</summary>
    public ImageCreateOptions Read(ParseResult parsed, CliSession session, ImageFormat format, long? size)
    {
        var options = new ImageCreateOptions
        {
            Format = format,
            Kind = format == ImageFormat.Raw ? ImageKind.Fixed : ImageKind.Dynamic,
            Size = size,
            UniqueId = parsed.GetValue(_uuid),
            ChsCompatible = parsed.GetValue(_chsCompat),
            Preallocate = parsed.GetValue(_preallocate),
            Timestamp = SourceDate(session),
        };
        foreach (var pair in Pairs(parsed))
        {
            var separator = pair.IndexOf('=', StringComparison.Ordinal);
            options = Apply(options, separator < 0 ? pair : pair[..separator], separator < 0 ? "on" : pair[(separator + 1)..]);
        }

        foreach (var (name, value) in Flags(parsed))
        {
            options = Apply(options, name, value);
        }

        if (options.UniqueId == Guid.Empty)
        {
            throw new UsageException("--uuid cannot be all zeros: to a child that would mean a raw parent.");
        }

        return options.ChsCompatible && format != ImageFormat.Vhd ? throw new UsageException("--chs-compat is for VHD images: no other format has a geometry.") : options;
    }

    private IEnumerable<(string Name, string Value)> Flags(ParseResult parsed)
    {
        foreach (var (name, option) in new[]
        {
            ("block_size", _blockSize), ("logical_sector_size", _logicalSectorSize), ("physical_sector_size", _physicalSectorSize), ("log_size", _logSize),
        })
        {
            if (parsed.GetValue(option) is { } value)
            {
                yield return (name, value.ToString(CultureInfo.InvariantCulture));
            }
        }
    }

    private static ImageCreateOptions Apply(ImageCreateOptions options, string name, string value) => (options.Format, name) switch
    {
        (_, "size") => options with { Size = SizeOf(name, value) },
        (ImageFormat.Vhd or ImageFormat.Vhdx, "subformat") => options with
        {
            Kind = value switch
            {
                "dynamic" => ImageKind.Dynamic,
                "fixed" => ImageKind.Fixed,
                _ => throw new UsageException($"Invalid subformat '{value}': it is dynamic or fixed."),
            },
        },
        (ImageFormat.Vhdx, "block_size") when SizeOf(name, value) == 0 => options with { BlockSize = null }, // qemu-img's default
        (ImageFormat.Vhd or ImageFormat.Vhdx, "block_size") => options with { BlockSize = BlockSizeOf(value) },
        (ImageFormat.Vhdx, "logical_sector_size") => options with { LogicalSectorSize = SectorSizeOf(name, value) },
        (ImageFormat.Vhdx, "physical_sector_size") => options with { PhysicalSectorSize = SectorSizeOf(name, value) },
        (ImageFormat.Vhdx, "log_size") => options with { LogSize = LogSizeOf(value) },
        (ImageFormat.Vhdx, "block_state_zero") when IsOn(name, value) is var _ => options,
        (ImageFormat.Vhd, "force_size") => options with { ChsCompatible = options.ChsCompatible || !IsOn(name, value) },
        (ImageFormat.Raw, "preallocation") => options with { Preallocate = options.Preallocate || IsFull(value) },
        (ImageFormat.Raw, "block_size") => throw new UsageException("A raw image has no blocks: leave the block size out, or give -O vhd or -O vhdx (-f for create)."),
        (_, "logical_sector_size" or "physical_sector_size" or "log_size") => throw new UsageException(
            $"Parameter '{name}' is for VHDX images only{(options.Format == ImageFormat.Vhd ? ": a VHD has sectors of 512 bytes, and no log" : "")}."),
        _ => throw new UsageException($"Invalid parameter '{name}'. -o help lists the options of {Values.NameOf(options.Format)}."),
    };

    private static bool IsFull(string value) => value switch
    {
        "off" => false,
        "full" or "falloc" => true,
        _ => throw new UsageException($"Invalid preallocation '{value}': it is off or full."),
    };

    private static bool IsOn(string name, string value) => value switch
    {
        "on" or "yes" or "true" or "y" => true,
        "off" or "no" or "false" or "n" => false,
        _ => throw new UsageException($"Parameter '{name}' expects 'on' or 'off'."),
    };

    private static long SizeOf(string name, string value) =>
        ByteSize.TryParse(value, out var size) ? size : throw new UsageException($"Parameter '{name}' expects a size, not '{value}'.");

    private static int BlockSizeOf(string value)
    {
        var size = SizeOf("block_size", value);
        return size is > 0 and <= int.MaxValue && long.IsPow2(size)
            ? (int)size
            : throw new UsageException($"Parameter 'block_size' expects a power of two, not '{value}'.");
    }

    private static int SectorSizeOf(string name, string value) =>
        SizeOf(name, value) is var size && size is 512 or 4096 ? (int)size : throw new UsageException($"Parameter '{name}' expects 512 or 4096, not '{value}'.");

    private static long LogSizeOf(string value) =>
        SizeOf("log_size", value) is > 0 and <= 1 << 30 and var size && size % (1 << 20) == 0
            ? size
            : throw new UsageException($"Parameter 'log_size' expects a multiple of 1M up to 1G, not '{value}'.");

    /// <summary>The time to stamp into images for a reproducible build; null for the time it is.</summary>
    private static DateTimeOffset? SourceDate(CliSession session)
    {
        const string Variable = "SOURCE_DATE_EPOCH";
        var text = session.Environment(Variable);
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        // Up to the end of year 9999.
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds <= 253_402_300_799
            ? DateTimeOffset.FromUnixTimeSeconds(seconds)
            : throw new UsageException($"{Variable} is '{text}', which is no number of seconds since 1970.");
    }

    private IEnumerable<string> Pairs(ParseResult parsed) =>
        (parsed.GetValue(_options) ?? []).SelectMany(static list => list.Split(',', StringSplitOptions.RemoveEmptyEntries));
}
