using System.Globalization;
using System.Text;
using VhdCli.Commands;
using VhdCore.Formats;
using VhdCore.Primitives;

namespace VhdCli.Output;

/// <summary>Images described for people, in qemu-img's form.</summary>
internal static class InfoText
{
    /// <summary>All of them, a blank line between two.</summary>
    public static string Of(IReadOnlyList<ImageInfo> images)
    {
        var text = new StringBuilder();
        for (var i = 0; i < images.Count; i++)
        {
            if (i > 0)
            {
                text.Append('\n');
            }

            Append(text, images[i], i + 1 < images.Count ? images[i + 1].Format : null);
        }

        return text.ToString();
    }

    /// <summary>A moment as text, in UTC. Put together here, as the framework's formatter would have to be compiled first.</summary>
    public static string Time(DateTimeOffset time)
    {
        var utc = time.UtcDateTime;
        var text = new StringBuilder();
        Digits(text, utc.Year, 4).Append('-');
        Digits(text, utc.Month, 2).Append('-');
        Digits(text, utc.Day, 2).Append('T');
        Digits(text, utc.Hour, 2).Append(':');
        Digits(text, utc.Minute, 2).Append(':');
        return Digits(text, utc.Second, 2).Append('Z').ToString();
    }

    /// <summary>An identifier as text. Put together here for the same reason.</summary>
    public static string Id(Guid id)
    {
        const string HexDigits = "0123456789abcdef";
        var text = new StringBuilder(36);
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        for (var i = 0; i < bytes.Length; i++)
        {
            if (i is 4 or 6 or 8 or 10)
            {
                text.Append('-');
            }

            text.Append(HexDigits[bytes[i] >> 4]).Append(HexDigits[bytes[i] & 15]);
        }

        return text.ToString();
    }

    /// <summary>The kind in the words of qemu-img's subformat.</summary>
    public static string Subformat(ImageKind kind) => kind switch
    {
        ImageKind.Fixed => "fixed",
        ImageKind.Dynamic => "dynamic",
        _ => "differencing",
    };

    /// <summary>A version whose major part is in the upper 16 bits.</summary>
    public static string Version(uint version) => $"{version >> 16}.{version & 0xFFFF}";

    /// <summary>Which footer counts.</summary>
    public static string Footer(VhdFooterSource source) => source switch
    {
        VhdFooterSource.End => "end",
        VhdFooterSource.End511 => "end-511",
        _ => "start",
    };

    private static void Append(StringBuilder text, ImageInfo image, ImageFormat? parentFormat)
    {
        text.Append($"image: {image.Path}\n");
        text.Append($"file format: {Values.NameOf(image.Format)}\n");
        var size = image is { VirtualSize: 0, IsRefused: true } ? "unknown" : string.Create(CultureInfo.InvariantCulture, $"{ByteSize.Format(image.VirtualSize)} ({image.VirtualSize} bytes)");
        text.Append($"virtual size: {size}\n");
        text.Append($"disk size: {(image.AllocatedBytes is { } allocated ? ByteSize.Format(allocated) : "unavailable")}\n");
        if (image.BlockSize is { } blockSize)
        {
            text.Append(CultureInfo.InvariantCulture, $"cluster_size: {blockSize}\n");
        }

        if (image.ParentPath is { } parent)
        {
            text.Append($"backing file: {parent}\n");
        }

        if (parentFormat is { } format)
        {
            text.Append($"backing file format: {Values.NameOf(format)}\n");
        }

        if (image.SizeRoundedUp)
        {
            text.Append(CultureInfo.InvariantCulture, $"file length: {image.FileLength} bytes, rounded up to whole sectors\n");
        }

        if (image.Vhd is { } vhd)
        {
            text.Append("Format specific information:\n");
            Append(text, image.Kind, vhd);
        }

        if (image.Vhdx is { } vhdx)
        {
            text.Append("Format specific information:\n");
            VhdxInfoOutput.Append(text, image, vhdx);
        }
    }

    private static void Append(StringBuilder text, ImageKind kind, VhdInfo vhd)
    {
        Line(text, "subformat", Subformat(kind));
        Line(text, "creator", $"'{vhd.CreatorApplication}' {Version(vhd.CreatorVersion)} on '{vhd.CreatorHostOs}'");
        Line(text, "timestamp", Time(vhd.Timestamp));
        Line(text, "size rule", vhd.SizeRule);
        Line(text, "current size", Number(vhd.CurrentSize));
        Line(text, "original size", Number(vhd.OriginalSize));
        Line(text, "geometry", $"{vhd.Cylinders}/{vhd.Heads}/{vhd.SectorsPerTrack} cylinders/heads/sectors, {(long)vhd.Cylinders * vhd.Heads * vhd.SectorsPerTrack * 512} bytes");
        Line(text, "unique id", Id(vhd.UniqueId));
        Line(text, "footer", Footer(vhd.FooterSource) + (vhd.FooterChecksumIsValid ? "" : ", wrong checksum"));
        if (vhd.TableOffset is { } tableOffset)
        {
            Line(text, "blocks", $"{vhd.AllocatedBlockCount?.ToString(CultureInfo.InvariantCulture) ?? "?"} of {vhd.BlockCount} allocated, {vhd.MaxTableEntries} table entries at {tableOffset}");
        }

        if (vhd.HeaderChecksumIsValid == false)
        {
            Line(text, "header", "wrong checksum");
        }

        if (vhd.ParentUniqueId is { } parentId)
        {
            Line(text, "parent id", Id(parentId));
            Line(text, "parent name", vhd.ParentUnicodeName ?? "");
            Line(text, "parent timestamp", vhd.ParentTimestamp is { } time ? Time(time) : "none");
            foreach (var locator in vhd.ParentLocators)
            {
                Line(text, "parent locator " + locator.PlatformCode, locator.Name);
            }
        }

        if (vhd.Batmap is { } batmap)
        {
            Line(text, "batmap", $"version {Version(batmap.Version)}, marker {batmap.Marker}{(batmap.HasKeyHash ? ", encryption key hash" : "")}");
        }

        Flag(text, "hidden", vhd.IsHidden);
        Flag(text, "saved state", vhd.SavedState);
        Flag(text, "poisoned", vhd.IsPoisoned);
    }

    private static StringBuilder Digits(StringBuilder text, int value, int count)
    {
        for (var unit = count == 4 ? 1000 : 10; unit > 0; unit /= 10)
        {
            text.Append((char)('0' + (value / unit % 10)));
        }

        return text;
    }

    private static string Number(ulong value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>One field. What comes from the image may hold characters that a terminal would obey: those are replaced.</summary>
    internal static void Line(StringBuilder text, string name, string value)
    {
        text.Append("    ");
        foreach (var character in $"{name}: {value}")
        {
            text.Append(char.IsControl(character) ? '\uFFFD' : character);
        }

        text.Append('\n');
    }

    private static void Flag(StringBuilder text, string name, bool value)
    {
        if (value)
        {
            Line(text, name, "true");
        }
    }
}
