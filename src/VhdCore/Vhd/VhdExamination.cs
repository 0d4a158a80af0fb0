using VhdCore.Errors;
using VhdCore.Formats;

namespace VhdCore.Vhd;

/// <summary>What an image's structures say and what is to be thought of it, refused or not. Tables are not part of it.</summary>
internal sealed record VhdExamination
{
    /// <summary>The image's name.</summary>
    public required string Path { get; init; }

    /// <summary>Everything found, in the order it was looked at.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>The structures as far as they could be told; null when not even a footer was found. Of a refused image, any field may be nonsense.</summary>
    public VhdMetadata? Metadata { get; init; }

    /// <summary>The structures can be followed to the table: nothing about them contradicts the format, checksums and states aside.</summary>
    public bool HasUsableTable => Metadata?.Header is not null && !Findings.Any(finding => finding.Refusal == FindingRefusal.Corrupt
        || finding.Id is VhdFindingId.FooterDiskType or VhdFindingId.FooterVersion or VhdFindingId.HeaderVersion or VhdFindingId.HeaderTableTooLarge);

    /// <summary>Why the image may not be opened as asked; null when it may.</summary>
    public ImageException? Refusal(ImageOpenOptions options) =>
        Findings.FirstOrDefault(finding => finding.Refuses(options.Writable, options.IgnoreBadChecksum))?.ToException(Path);
}
