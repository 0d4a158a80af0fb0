using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using VhdCore.Formats;
using VhdCore.Primitives;

namespace VhdCli.Commands;

/// <summary>Values on the command line: formats, sizes, identifiers.</summary>
internal static class Values
{
    /// <summary>An option that takes an image format.</summary>
    public static Option<ImageFormat?> FormatOption(string description, string name, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = "FMT",
        CustomParser = static result =>
        {
            var format = FormatNamed(result.Tokens[0].Value);
            if (format is null)
            {
                result.AddError($"Unknown file format '{result.Tokens[0].Value}'. The formats are raw, vhd (or vpc) and vhdx.");
            }

            return format;
        },
    };

    /// <summary>An option that takes a size in bytes.</summary>
    public static Option<long?> SizeOption(string description, string name, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = "SIZE",
        CustomParser = ParseSize,
    };

    /// <summary>An option that takes an identifier.</summary>
    public static Option<Guid?> GuidOption(string description, string name) => new(name)
    {
        Description = description,
        HelpName = "UUID",
        CustomParser = static result =>
        {
            if (Guid.TryParse(result.Tokens[0].Value, out var value))
            {
                return value;
            }

            result.AddError($"'{result.Tokens[0].Value}' is no UUID such as 01234567-89ab-cdef-0123-456789abcdef.");
            return null;
        },
    };

    /// <summary>An option that takes a whole number within bounds.</summary>
    public static Option<int?> NumberOption(string description, int min, int max, string name, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result =>
        {
            if (int.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max)
            {
                return value;
            }

            result.AddError($"{name} takes a number from {min} to {max}.");
            return null;
        },
    };

    /// <summary>A flag.</summary>
    public static Option<bool> Flag(string description, string name, params string[] aliases) => new(name, aliases) { Description = description };

    /// <summary>An option that takes one of a few words.</summary>
    public static Option<string?> WordOption(string description, string helpName, string[] words, string name, params string[] aliases)
    {
        var option = new Option<string?>(name, aliases) { Description = description, HelpName = helpName };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [{ } token, ..] && !words.Contains(token.Value))
            {
                result.AddError($"'{token.Value}' is none of {string.Join(", ", words)}.");
            }
        });
        return option;
    }

    /// <summary>An argument that names an image.</summary>
    public static Argument<string> FileArgument(string name, string description) => new(name) { Description = description };

    /// <summary>Reads a size for an option or argument.</summary>
    public static long? ParseSize(ArgumentResult result)
    {
        if (result.Tokens.Count == 0)
        {
            return null;
        }

        if (ByteSize.TryParse(result.Tokens[0].Value, out var size))
        {
            return size;
        }

        result.AddError(
            $"Invalid size '{result.Tokens[0].Value}'. You may use k, M, G, T, P or E suffixes for kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.");
        return null;
    }

    /// <summary>The format of a name that people use; null for any other.</summary>
    public static ImageFormat? FormatNamed(string name) => name switch
    {
        "raw" => ImageFormat.Raw,
        "vhd" or "vpc" => ImageFormat.Vhd,
        "vhdx" => ImageFormat.Vhdx,
        _ => null,
    };

    /// <summary>The name that is shown for a format.</summary>
    public static string NameOf(ImageFormat format) => format switch
    {
        ImageFormat.Raw => "raw",
        ImageFormat.Vhd => "vhd",
        ImageFormat.Vhdx => "vhdx",
        _ => format.ToString().ToLowerInvariant(),
    };

    /// <summary>The format asked for, or what the file's extension says, or raw; stderr is told which was taken, unless that is not wanted.</summary>
    public static ImageFormat FormatFor(ImageFormat? asked, string path, string option, bool isQuiet, CliSession session)
    {
        if (asked is { } format)
        {
            return format;
        }

        var extension = Path.GetExtension(path).ToLowerInvariant();
        format = extension switch
        {
            ".vhd" or ".vpc" or ".avhd" => ImageFormat.Vhd,
            ".vhdx" or ".avhdx" => ImageFormat.Vhdx,
            _ => ImageFormat.Raw,
        };
        if (!isQuiet)
        {
            var source = format != ImageFormat.Raw || extension is ".raw" or ".img" or ".dd"
                ? $"taken from the extension {extension}"
                : "taken, as the name says nothing else";
            session.Say($"format {NameOf(format)} {source}; {option} overrides it");
        }

        return format;
    }
}
