using VhdCore.Errors;
using VhdCore.Formats;

namespace VhdCore.Vhdx;

/// <summary>What an image's structures say and what is to be thought of it, refused or not. The BAT's entries are not part of it.</summary>
internal sealed record VhdxExamination
{
    /// <summary>The image's name.</summary>
    public required string Path { get; init; }

    /// <summary>Everything found, in the order it was looked at.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>Null when something before the metadata cannot be used, or the metadata cannot. Of a refused image, it may be true or not.</summary>
    public VhdxMetadata? Metadata { get; init; }

    /// <summary>Why the image may not be opened as asked; null when it may.</summary>
    public ImageException? Refusal(ImageOpenOptions options) =>
        Findings.FirstOrDefault(finding => finding.Refuses(options.Writable, options.IgnoreBadChecksum))?.ToException(Path);
}
