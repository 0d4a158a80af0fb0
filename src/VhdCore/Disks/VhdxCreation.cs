using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Vhd;
using VhdCore.Vhdx;

namespace VhdCore.Disks;

/// <summary>What creating a VHDX by the options that all formats share comes to.</summary>
internal static class VhdxCreation
{
    private const int SectorSize = 512; // bytes, where no parent says otherwise

    /// <summary>Refuses what the format cannot hold, before there is a file.</summary>
    /// <exception cref="ArgumentException">The options ask for what only a VHD has.</exception>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk.</exception>
    public static void Check(ImageCreateOptions options, string path)
    {
        if (options.ChsCompatible)
        {
            throw new ArgumentException("A VHDX has no geometry to be compatible with.", nameof(options));
        }

        if (options.Size is not null)
        {
            VhdxCreator.Judge(Parameters(options, parent: null, reference: null), path);
        }
    }

    /// <summary>The parameters of the new image.</summary>
    /// <param name="options">What was asked for.</param>
    /// <param name="parent">The parent, for a differencing image.</param>
    /// <param name="reference">Its names.</param>
    public static VhdxCreateParameters Parameters(ImageCreateOptions options, ImageInfo? parent, VhdParentReference? reference)
    {
        var sectorSize = parent?.Vhdx?.LogicalSectorSize ?? SectorSize;
        return new VhdxCreateParameters
        {
            Kind = options.Kind,
            Size = Alignment.Up(options.Size ?? parent!.VirtualSize, sectorSize),
            BlockSize = (uint)(options.BlockSize ?? VhdxCreator.UsualBlockSize(options.Kind)),
            LogicalSectorSize = sectorSize,
            VirtualDiskId = parent?.Vhdx?.VirtualDiskId ?? options.UniqueId ?? Guid.NewGuid(),
            DataWriteGuid = Guid.NewGuid(),
            FileWriteGuid = Guid.NewGuid(),
            Preallocate = options.Preallocate,
            ParentLocator = parent?.Vhdx is { } vhdx ? Locator(vhdx.DataWriteGuid, reference!) : [],
        };
    }

    private static List<KeyValuePair<string, string>> Locator(Guid linkage, VhdParentReference parent)
    {
        var locator = new List<KeyValuePair<string, string>>
        {
            new("parent_linkage", $"{{{linkage:D}}}"),
            new("relative_path", VhdxParentPath(parent.RelativePath)),
        };
        if (OperatingSystem.IsWindows())
        {
            locator.Add(new("absolute_win32_path", @"\\?\" + parent.AbsolutePath));
        }

        return locator;
    }

    // The format's own spelling: backslashes, and a dot before what lies in the child's folder.
    private static string VhdxParentPath(string relative)
    {
        var path = relative.Replace('/', '\\');
        return path.StartsWith('.') ? path : ".\\" + path;
    }
}
