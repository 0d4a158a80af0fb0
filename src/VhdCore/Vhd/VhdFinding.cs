using VhdCore.Errors;
using VhdCore.Formats;

namespace VhdCore.Vhd;

/// <summary>How bad a finding is; the words of the check report.</summary>
internal enum VhdSeverity
{
    Note,
    Warning,
    Leak,
    Corruption,
}

/// <summary>Whether a finding keeps the image from being opened.</summary>
internal enum VhdRefusal
{
    /// <summary>It does not.</summary>
    None,

    /// <summary>For writing.</summary>
    Writing,

    /// <summary>Unless checksums are to be ignored, which only a reader may ask for.</summary>
    Checksum,

    /// <summary>For reading too: the bytes contradict the format.</summary>
    Corrupt,

    /// <summary>For reading too: the image may be sound, but what it is or the state it is in is not handled.</summary>
    Unsupported,
}

/// <summary>One judgement on an image's structures. Opening, describing and checking an image all read the same list.</summary>
/// <param name="Id">From <see cref="VhdFindingId"/>.</param>
/// <param name="Severity">How bad.</param>
/// <param name="Structure">In the specification's words.</param>
/// <param name="FileOffset">Bytes from the file's start to what is concerned.</param>
/// <param name="Message">What was found and what it means: a sentence or more.</param>
internal sealed record VhdFinding(string Id, VhdSeverity Severity, string Structure, long FileOffset, string Message)
{
    /// <summary>A repair can mend it without guessing.</summary>
    public bool IsRepairable { get; init; }

    /// <summary>Whether it keeps the image from being opened.</summary>
    public VhdRefusal Refusal { get; init; }

    /// <summary>What to do about a refusal: a sentence.</summary>
    public string NextStep { get; init; } = "Run 'vhdkit check' to see everything that is wrong with the image.";

    /// <summary>Whether the image may not be opened as asked.</summary>
    public bool Refuses(ImageOpenOptions options) => Refusal switch
    {
        VhdRefusal.None => false,
        VhdRefusal.Writing => options.Writable,
        VhdRefusal.Checksum => options.Writable || !options.IgnoreBadChecksum,
        _ => true,
    };

    /// <summary>The exception that refuses the image.</summary>
    public ImageException ToException(string path)
    {
        var message = $"'{path}': {Message} {NextStep}";
        return Refusal is VhdRefusal.Unsupported or VhdRefusal.Writing
            ? new UnsupportedImageException(message, path, FileOffset)
            : new CorruptImageException(message, path, FileOffset);
    }
}
