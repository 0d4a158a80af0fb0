using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>Reads an image's structures for its use: refuses what cannot be used as asked, and warns of what is odd.</summary>
internal static class VhdMetadataReader
{
    /// <summary>The structures, judged. Nothing is written.</summary>
    /// <exception cref="CorruptImageException">The bytes contradict the format.</exception>
    /// <exception cref="UnsupportedImageException">The image's kind or state is not handled; encrypted and poisoned ones among them.</exception>
    /// <exception cref="StorageException">The medium failed.</exception>
    public static async ValueTask<VhdMetadata> ReadAsync(IStorage storage, ImageOpenOptions options, CancellationToken cancellationToken)
    {
        var examination = await VhdExaminer.ExamineAsync(storage, options, cancellationToken).ConfigureAwait(false);
        if (examination.Refusal(options) is { } refusal)
        {
            throw refusal;
        }

        foreach (var finding in examination.Findings)
        {
            if (finding.Severity != FindingSeverity.Note)
            {
                options.OnWarning?.Invoke(new ImageWarning(storage.Name, finding.Message));
            }
        }

        return examination.Metadata!;
    }
}
