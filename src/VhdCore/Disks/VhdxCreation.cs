using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Disks;

/// <summary>What creating a VHDX by the options that all formats share comes to.</summary>
internal static class VhdxCreation
{
    /// <summary>Refuses what the format cannot hold, before there is a file.</summary>
    /// <exception cref="ArgumentException">The options ask for what only a VHD has.</exception>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk.</exception>
    public static void Check(ImageCreateOptions options, string path)
    {
        if (options.ChsCompatible)
        {
            throw new ArgumentException("A VHDX has no geometry to be compatible with.", nameof(options));
        }

        VhdxCreator.Judge(VhdxCreateParameters.From(options, options.Size ?? VhdxLayout.OneMiB), path); // a parent's size was judged when it was opened
    }

    /// <summary>The parameters of the new image.</summary>
    /// <param name="options">What was asked for.</param>
    /// <param name="parent">The parent, for a differencing image.</param>
    /// <param name="reference">Its names.</param>
    /// <param name="identifiers">Where the image's own come from.</param>
    public static VhdxCreateParameters Parameters(ImageCreateOptions options, ImageInfo? parent, VhdParentReference? reference, VhdxIdentifiers identifiers)
    {
        var vhdx = parent?.Vhdx;
        return VhdxCreateParameters.From(options, options.Size ?? parent!.VirtualSize, vhdx?.LogicalSectorSize, vhdx?.PhysicalSectorSize) with
        {
            VirtualDiskId = vhdx?.VirtualDiskId ?? options.UniqueId ?? identifiers.NextGuid(),
            DataWriteGuid = identifiers.NextGuid(),
            FileWriteGuid = identifiers.NextGuid(),
            ParentLocator = vhdx is null ? [] : Locator(vhdx.DataWriteGuid, reference!, identifiers.AreReproducible),
        };
    }

    /// <summary>Where the identifiers of the new image and of its first session come from.</summary>
    public static VhdxIdentifiers Identifiers(ImageCreateOptions options, ImageInfo? parent) =>
        options is { UniqueId: { } id, Timestamp: { } time } ? VhdxIdentifiers.From(id, time, parent?.Vhdx?.DataWriteGuid ?? Guid.Empty) : VhdxIdentifiers.Random();

    private static List<KeyValuePair<string, string>> Locator(Guid linkage, VhdParentReference parent, bool isReproducible)
    {
        var locator = new List<KeyValuePair<string, string>> { new("parent_linkage", $"{{{linkage:D}}}") };
        if (!OperatingSystem.IsWindows() || !Path.IsPathRooted(parent.RelativePath))
        {
            locator.Add(new("relative_path", VhdxParentPath(parent.RelativePath)));
        }

        // Without a drive it is no Windows path, but leads here to the parent when the child was moved alone, and is the only key of which libvhdi takes the name.
        // What is to come out the same everywhere cannot have it.
        if (OperatingSystem.IsWindows() || (Path.IsPathRooted(parent.AbsolutePath) && !isReproducible))
        {
            locator.Add(new("absolute_win32_path", OperatingSystem.IsWindows() ? @"\\?\" + parent.AbsolutePath : parent.AbsolutePath.Replace('/', '\\')));
        }

        return locator;
    }

    // The format's own spelling: backslashes, and a dot before what lies in the child's folder.
    private static string VhdxParentPath(string relative)
    {
        var path = relative.Replace('/', '\\');
        return path.StartsWith('.') || path.StartsWith('\\') ? path : ".\\" + path;
    }
}
