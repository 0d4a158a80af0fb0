using System.Globalization;
using System.Text;
using System.Text.Json;
using VhdCore.Formats;

namespace VhdCli.Output;

/// <summary>What only a VHDX has, for people and for scripts.</summary>
internal static class VhdxInfoOutput
{
    /// <summary>Lines under "Format specific information".</summary>
    public static void Append(StringBuilder text, ImageInfo image, VhdxInfo vhdx)
    {
        var isKnown = IsKnown(vhdx);
        InfoText.Line(text, "subformat", isKnown ? InfoText.Subformat(image.Kind) : "unknown");
        InfoText.Line(text, "creator", vhdx.Creator);
        if (isKnown)
        {
            InfoText.Line(text, "sector size", $"{vhdx.LogicalSectorSize} logical, {vhdx.PhysicalSectorSize} physical");
            InfoText.Line(text, "disk id (page 83)", vhdx.VirtualDiskId is { } diskId ? InfoText.Id(diskId) : "missing");
        }

        InfoText.Line(text, "data write id", InfoText.Id(vhdx.DataWriteGuid));
        InfoText.Line(text, "file write id", InfoText.Id(vhdx.FileWriteGuid));
        InfoText.Line(text, "headers", string.Join(", ", vhdx.Headers.Select(header =>
            (header.IsValid ? header.SequenceNumber.ToString(CultureInfo.InvariantCulture) : "invalid") + (header.IsCurrent ? " (current)" : ""))));
        InfoText.Line(text, "log", $"{vhdx.Log.Length} bytes at {vhdx.Log.FileOffset}, {Describe(vhdx.Log)}");
        if (vhdx.Log.LogGuid != Guid.Empty)
        {
            InfoText.Line(text, "log id", InfoText.Id(vhdx.Log.LogGuid));
        }

        if (isKnown)
        {
            InfoText.Line(text, "blocks", string.Join(", ", Counts(vhdx).Where(count => count.Value > 0).Select(count => $"{count.Value} {count.Name}").Prepend($"{vhdx.BlockCount} in all")));
        }

        foreach (var (key, value) in vhdx.ParentLocator)
        {
            InfoText.Line(text, "parent locator " + key, value);
        }
    }

    /// <summary>The members of "data".</summary>
    public static void Write(Utf8JsonWriter json, ImageInfo image, VhdxInfo vhdx)
    {
        json.WriteString("creator"u8, vhdx.Creator);
        if (IsKnown(vhdx))
        {
            json.WriteString("subformat"u8, InfoText.Subformat(image.Kind));
            json.WriteNumber("logical-sector-size"u8, vhdx.LogicalSectorSize);
            json.WriteNumber("physical-sector-size"u8, vhdx.PhysicalSectorSize);
        }

        if (vhdx.VirtualDiskId is { } diskId)
        {
            json.WriteString("virtual-disk-id"u8, InfoText.Id(diskId));
        }

        json.WriteString("data-write-guid"u8, InfoText.Id(vhdx.DataWriteGuid));
        json.WriteString("file-write-guid"u8, InfoText.Id(vhdx.FileWriteGuid));
        json.WriteNumber("file-length"u8, image.FileLength);
        json.WriteStartArray("headers"u8);
        foreach (var header in vhdx.Headers)
        {
            json.WriteStartObject();
            json.WriteBoolean("valid"u8, header.IsValid);
            json.WriteBoolean("current"u8, header.IsCurrent);
            json.WriteNumber("sequence-number"u8, header.SequenceNumber);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("log"u8);
        json.WriteString("state"u8, vhdx.Log.State switch { VhdxLogState.Clean => "clean", VhdxLogState.Dirty => "dirty", _ => "unreplayable" });
        json.WriteString("guid"u8, InfoText.Id(vhdx.Log.LogGuid));
        json.WriteNumber("offset"u8, vhdx.Log.FileOffset);
        json.WriteNumber("length"u8, vhdx.Log.Length);
        json.WriteNumber("entries"u8, vhdx.Log.EntryCount);
        json.WriteNumber("updates"u8, vhdx.Log.UpdateCount);
        json.WriteEndObject();
        WriteRegions(json, vhdx);
        json.WriteStartObject("blocks"u8);
        json.WriteNumber("total"u8, vhdx.BlockCount);
        foreach (var (name, value) in Counts(vhdx))
        {
            json.WriteNumber(name.Replace(' ', '-'), value);
        }

        json.WriteEndObject();
        if (vhdx.ParentLocator.Count > 0)
        {
            json.WriteStartObject("parent-locator"u8);
            foreach (var (key, value) in vhdx.ParentLocator)
            {
                json.WriteString(key, value);
            }

            json.WriteEndObject();
        }
    }

    private static void WriteRegions(Utf8JsonWriter json, VhdxInfo vhdx)
    {
        json.WriteStartArray("regions"u8);
        foreach (var region in vhdx.Regions)
        {
            json.WriteStartObject();
            json.WriteString("guid"u8, InfoText.Id(region.Id));
            json.WriteNumber("offset"u8, region.FileOffset);
            json.WriteNumber("length"u8, region.Length);
            json.WriteBoolean("required"u8, region.IsRequired);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    // A refused image may not say what disk it is.
    private static bool IsKnown(VhdxInfo vhdx) => vhdx.LogicalSectorSize > 0;

    private static string Describe(VhdxLogInfo log) => log.State switch
    {
        VhdxLogState.Clean => "clean",
        VhdxLogState.Dirty => $"dirty: {log.EntryCount} entries with {log.UpdateCount} updates to replay",
        _ => "cannot be replayed",
    };

    private static IEnumerable<(string Name, long Value)> Counts(VhdxInfo vhdx) => vhdx.Blocks is not { } blocks ? [] :
    [
        ("not present", blocks.NotPresent),
        ("undefined", blocks.Undefined),
        ("zero", blocks.Zero),
        ("unmapped", blocks.Unmapped),
        ("fully present", blocks.FullyPresent),
        ("partially present", blocks.PartiallyPresent),
        ("impossible", blocks.Impossible),
    ];
}
