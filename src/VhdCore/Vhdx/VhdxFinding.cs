using VhdCore.Errors;
using VhdCore.Formats;

namespace VhdCore.Vhdx;

/// <summary>How bad a finding is; the words of the check report.</summary>
internal enum VhdxSeverity
{
    Note,
    Warning,
    Leak,
    Corruption,
}

/// <summary>Whether a finding keeps the image from being opened.</summary>
internal enum VhdxRefusal
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
/// <param name="Id">From <see cref="VhdxFindingId"/>.</param>
/// <param name="Severity">How bad.</param>
/// <param name="Structure">In the specification's words.</param>
/// <param name="FileOffset">Bytes from the file's start to what is concerned.</param>
/// <param name="Message">What was found and what it means: a sentence or more.</param>
internal sealed record VhdxFinding(string Id, VhdxSeverity Severity, string Structure, long FileOffset, string Message)
{
    /// <summary>A repair can mend it without guessing.</summary>
    public bool IsRepairable { get; init; }

    /// <summary>Whether it keeps the image from being opened.</summary>
    public VhdxRefusal Refusal { get; init; }

    /// <summary>What to do about a refusal: a sentence.</summary>
    public string NextStep { get; init; } = "Compare the file with a backup, or take the image from there.";

    /// <summary>Whether the image may not be opened as asked.</summary>
    public bool Refuses(ImageOpenOptions options) => Refusal switch
    {
        VhdxRefusal.None => false,
        VhdxRefusal.Writing => options.Writable,
        VhdxRefusal.Checksum => options.Writable || !options.IgnoreBadChecksum,
        _ => true,
    };

    /// <summary>The exception that refuses the image.</summary>
    public ImageException ToException(string path)
    {
        var message = $"'{path}': {Message} {NextStep}";
        return Refusal is VhdxRefusal.Unsupported or VhdxRefusal.Writing
            ? new UnsupportedImageException(message, path, FileOffset)
            : new CorruptImageException(message, path, FileOffset);
    }
}
