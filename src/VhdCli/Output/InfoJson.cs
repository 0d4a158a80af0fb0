using System.Text.Json;
using VhdCli.Commands;
using VhdCore.Formats;

namespace VhdCli.Output;

/// <summary>Images described for programs: qemu-img's ImageInfo, with what only we know under format-specific.</summary>
internal static class InfoJson
{
    /// <summary>Prints one object, or an array of the chain.</summary>
    public static void Print(CliSession session, IReadOnlyList<ImageInfo> images, bool wholeChain) => JsonText.Print(session, json =>
    {
        if (!wholeChain)
        {
            Write(json, images[0], parentFormat: null);
            return;
        }

        json.WriteStartArray();
        for (var i = 0; i < images.Count; i++)
        {
            Write(json, images[i], i + 1 < images.Count ? images[i + 1].Format : null);
        }

        json.WriteEndArray();
    });

    private static void Write(Utf8JsonWriter json, ImageInfo image, ImageFormat? parentFormat)
    {
        json.WriteStartObject();
        json.WriteNumber("virtual-size"u8, image.VirtualSize);
        json.WriteString("filename"u8, image.Path);
        if (image.BlockSize is { } blockSize)
        {
            json.WriteNumber("cluster-size"u8, blockSize);
        }

        json.WriteString("format"u8, Values.NameOf(image.Format));
        if (image.AllocatedBytes is { } allocated)
        {
            json.WriteNumber("actual-size"u8, allocated);
        }

        if (image.ParentPath is { } parent)
        {
            json.WriteString("backing-filename"u8, image.Vhd is { ParentUnicodeName: { Length: > 0 } name } ? name : parent);
            json.WriteString("full-backing-filename"u8, parent);
        }

        if (parentFormat is { } format)
        {
            json.WriteString("backing-filename-format"u8, Values.NameOf(format));
        }

        json.WriteBoolean("dirty-flag"u8, image.Vhdx is { Log.State: not VhdxLogState.Clean });
        if (image.Vhd is { } vhd)
        {
            json.WriteStartObject("format-specific"u8);
            json.WriteString("type"u8, "vhd"u8);
            json.WriteStartObject("data"u8);
            Write(json, image, vhd);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        if (image.Vhdx is { } vhdx)
        {
            json.WriteStartObject("format-specific"u8);
            json.WriteString("type"u8, "vhdx"u8);
            json.WriteStartObject("data"u8);
            VhdxInfoOutput.Write(json, image, vhdx);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        if (image.SizeRoundedUp)
        {
            json.WriteNumber("file-length"u8, image.FileLength);
        }

        if (image.IsRefused)
        {
            json.WriteBoolean("refused"u8, true);
        }

        if (image.Warnings.Count > 0)
        {
            json.WriteStartArray("warnings"u8);
            foreach (var warning in image.Warnings)
            {
                json.WriteStringValue(warning);
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, ImageInfo image, VhdInfo vhd)
    {
        json.WriteString("subformat"u8, InfoText.Subformat(image.Kind));
        json.WriteNumber("disk-type"u8, vhd.DiskType);
        json.WriteString("creator-application"u8, vhd.CreatorApplication);
        json.WriteString("creator-version"u8, InfoText.Version(vhd.CreatorVersion));
        json.WriteString("creator-host-os"u8, vhd.CreatorHostOs);
        json.WriteString("timestamp"u8, InfoText.Time(vhd.Timestamp));
        json.WriteNumber("original-size"u8, vhd.OriginalSize);
        json.WriteNumber("current-size"u8, vhd.CurrentSize);
        json.WriteString("size-rule"u8, vhd.SizeRule);
        json.WriteNumber("cylinders"u8, vhd.Cylinders);
        json.WriteNumber("heads"u8, vhd.Heads);
        json.WriteNumber("sectors-per-track"u8, vhd.SectorsPerTrack);
        json.WriteString("unique-id"u8, InfoText.Id(vhd.UniqueId));
        json.WriteNumber("file-length"u8, image.FileLength);
        json.WriteString("footer"u8, InfoText.Footer(vhd.FooterSource));
        json.WriteBoolean("footer-checksum-valid"u8, vhd.FooterChecksumIsValid);
        if (vhd.HeaderChecksumIsValid is { } headerIsValid)
        {
            json.WriteBoolean("header-checksum-valid"u8, headerIsValid);
        }

        json.WriteBoolean("saved-state"u8, vhd.SavedState);
        json.WriteBoolean("hidden"u8, vhd.IsHidden);
        json.WriteBoolean("poisoned"u8, vhd.IsPoisoned);
        WriteTable(json, vhd);
        WriteParent(json, vhd);
        if (vhd.Batmap is { } batmap)
        {
            json.WriteStartObject("batmap"u8);
            json.WriteString("version"u8, InfoText.Version(batmap.Version));
            json.WriteNumber("marker"u8, batmap.Marker);
            json.WriteBoolean("key-hash"u8, batmap.HasKeyHash);
            json.WriteEndObject();
        }
    }

    private static void WriteTable(Utf8JsonWriter json, VhdInfo vhd)
    {
        if (vhd.TableOffset is { } tableOffset)
        {
            json.WriteNumber("table-offset"u8, tableOffset);
        }

        if (vhd.MaxTableEntries is { } entries)
        {
            json.WriteNumber("max-table-entries"u8, entries);
        }

        if (vhd.BlockCount is { } blocks)
        {
            json.WriteNumber("block-count"u8, blocks);
        }

        if (vhd.AllocatedBlockCount is { } allocated)
        {
            json.WriteNumber("allocated-block-count"u8, allocated);
        }
    }

    private static void WriteParent(Utf8JsonWriter json, VhdInfo vhd)
    {
        if (vhd.ParentUniqueId is not { } parentId)
        {
            return;
        }

        json.WriteString("parent-unique-id"u8, InfoText.Id(parentId));
        json.WriteString("parent-unicode-name"u8, vhd.ParentUnicodeName);
        if (vhd.ParentTimestamp is { } time)
        {
            json.WriteString("parent-timestamp"u8, InfoText.Time(time));
        }

        json.WriteStartArray("parent-locators"u8);
        foreach (var locator in vhd.ParentLocators)
        {
            json.WriteStartObject();
            json.WriteString("platform-code"u8, locator.PlatformCode);
            json.WriteString("name"u8, locator.Name);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
