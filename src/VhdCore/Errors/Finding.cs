namespace VhdCore.Errors;

/// <summary>How bad a finding is; the words of the check report.</summary>
internal enum FindingSeverity
{
    Note,
    Warning,
    Leak,
    Corruption,
}

/// <summary>Whether a finding keeps the image from being opened.</summary>
internal enum FindingRefusal
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

/// <summary>One judgement on an image's structures, whatever its format. Opening, describing and checking an image all read the same list.</summary>
/// <param name="Id">Stable: one of the format's list of ids.</param>
/// <param name="Severity">How bad.</param>
/// <param name="Structure">In the specification's words.</param>
/// <param name="FileOffset">Bytes from the file's start to what is concerned.</param>
/// <param name="Message">What was found and what it means: a sentence or more.</param>
internal sealed record Finding(string Id, FindingSeverity Severity, string Structure, long FileOffset, string Message)
{
    /// <summary>What to do where checksums are all that is wrong.</summary>
    public const string IgnoreChecksumStep =
        "If the image is known to be good otherwise, read it with --ignore-bad-checksum. It is not opened for writing.";

    /// <summary>A repair can mend it without guessing.</summary>
    public bool IsRepairable { get; init; }

    /// <summary>Whether it keeps the image from being opened.</summary>
    public FindingRefusal Refusal { get; init; }

    /// <summary>What to do about a refusal: a sentence.</summary>
    public string NextStep { get; init; } = "Run 'vhdkit check' to see everything that is wrong with the image.";

    /// <summary>Whether the image may not be opened as asked.</summary>
    /// <param name="isForWriting">The image is to be written.</param>
    /// <param name="ignoresChecksums">Wrong checksums were asked to be ignored.</param>
    public bool Refuses(bool isForWriting, bool ignoresChecksums) => Refusal switch
    {
        FindingRefusal.None => false,
        FindingRefusal.Writing => isForWriting,
        FindingRefusal.Checksum => isForWriting || !ignoresChecksums,
        _ => true,
    };

    /// <summary>The exception that refuses the image.</summary>
    public ImageException ToException(string path)
    {
        var message = $"'{path}': {Message} {NextStep}";
        return Refusal == FindingRefusal.Unsupported || (Refusal == FindingRefusal.Writing && Severity != FindingSeverity.Corruption)
            ? new UnsupportedImageException(message, path, FileOffset)
            : new CorruptImageException(message, path, FileOffset);
    }
}
