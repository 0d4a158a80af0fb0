using System.Text;
using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>Reads the names that a differencing disk gives for its parent.</summary>
internal static class VhdParentLocatorReader
{
    /// <summary>Bytes; more than any path takes. Longer locator data is left out.</summary>
    public const int MaxDataLength = 64 << 10;

    /// <summary>The findings on the parent's names, and the metadata with those that can be read, in the file's order.</summary>
    public static async ValueTask<VhdMetadata> ReadAsync(IStorage storage, VhdMetadata metadata, List<Finding> findings, CancellationToken cancellationToken)
    {
        var header = metadata.Header!;
        var at = metadata.HeaderOffset;
        if (metadata.Footer.DiskType != VhdDiskType.Differencing)
        {
            if (header.ParentUniqueId != Guid.Empty)
            {
                findings.Add(new Finding(
                    VhdFindingId.ParentUnexpected, FindingSeverity.Note, "dynamic header", at + VhdDynamicHeaderView.ParentUniqueIdOffset,
                    $"The header names a parent, {header.ParentUniqueId}, but the footer says that this is no differencing disk: the parent is not used."));
            }

            return metadata;
        }

        var locators = new List<VhdParentLocator>();
        for (var i = 0; i < header.ParentLocators.Count; i++)
        {
            var entry = header.ParentLocators[i];
            var entryOffset = at + VhdDynamicHeaderView.ParentLocatorsOffset + (i * VhdDynamicHeaderView.ParentLocatorSize);
            if (entry.PlatformCode != 0 && await ReadNameAsync(storage, entry, i, entryOffset, findings, cancellationToken).ConfigureAwait(false) is { Length: > 0 } name)
            {
                locators.Add(new VhdParentLocator(entry.PlatformCode, name));
            }
        }

        if (header.ParentUniqueId == Guid.Empty)
        {
            findings.Add(new Finding(
                VhdFindingId.ParentRaw, FindingSeverity.Note, "dynamic header", at + VhdDynamicHeaderView.ParentUniqueIdOffset,
                "The parent's unique id is all zeros, by which XenServer means that the parent is a raw image. Nothing tells whether it is the right one."));
        }

        if (locators.Count == 0 && header.ParentUnicodeName.Length == 0)
        {
            findings.Add(new Finding(
                VhdFindingId.ParentUnnamed, FindingSeverity.Corruption, "dynamic header", at + VhdDynamicHeaderView.ParentLocatorsOffset,
                "This is a differencing disk, and no parent locator and no ParentUnicodeName names its parent."));
        }

        return metadata with { ParentLocators = locators };
    }

    private static async ValueTask<string?> ReadNameAsync(
        IStorage storage, VhdParentLocatorEntry entry, int index, long entryOffset, List<Finding> findings, CancellationToken cancellationToken)
    {
        if (!VhdPlatformCode.IsText(entry.PlatformCode))
        {
            if (entry.PlatformCode != VhdPlatformCode.Mac)
            {
                findings.Add(new Finding(
                    VhdFindingId.ParentLocatorUnknown, FindingSeverity.Note, "parent locator", entryOffset,
                    $"Parent locator {index} has the platform code 0x{entry.PlatformCode:X8} ('{VhdText.FourCharacters(entry.PlatformCode)}'), which is unknown; it is not used."));
            }

            return null;
        }

        // Writers disagree on the unit of PlatformDataSpace, so only the length and the offset are believed.
        var length = entry.PlatformDataLength;
        if (length > MaxDataLength || entry.PlatformDataOffset > (ulong)storage.Length || length > storage.Length - (long)entry.PlatformDataOffset)
        {
            findings.Add(new Finding(
                VhdFindingId.ParentLocatorUnreadable, FindingSeverity.Warning, "parent locator", entryOffset,
                $"Parent locator {index} ({VhdText.FourCharacters(entry.PlatformCode)}) says that its {length} bytes lie at byte {entry.PlatformDataOffset}: "
                + (length > MaxDataLength ? "no path is that long" : $"the file has {storage.Length}") + ". It is not used.")
            {
                Refusal = FindingRefusal.Writing, // a block that is added later would lie over it
                NextStep = "Convert the image into a new one to write to it.",
            });
            return null;
        }

        var bytes = new byte[length];
        await storage.ReadExactAsync((long)entry.PlatformDataOffset, bytes, "a parent locator's data", cancellationToken).ConfigureAwait(false);
        return Decode(entry.PlatformCode, bytes);
    }

    private static string Decode(uint platformCode, byte[] bytes)
    {
        if (platformCode is VhdPlatformCode.W2ku or VhdPlatformCode.W2ru)
        {
            return VhdText.FromUtf16(bytes, bigEndian: false);
        }

        var end = Array.IndexOf(bytes, (byte)0);
        var text = bytes.AsSpan(0, end < 0 ? bytes.Length : end);
        return platformCode == VhdPlatformCode.MacX ? Encoding.UTF8.GetString(text) : Encoding.Latin1.GetString(text);
    }
}
