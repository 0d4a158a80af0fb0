using VhdCore.Formats;
using VhdCore.Primitives;

namespace VhdCore.Vhdx;

/// <summary>What to create. All values are judged by <see cref="VhdxCreator"/>.</summary>
internal sealed record VhdxCreateParameters
{
    private const int UsualLogicalSectorSize = 512; // bytes
    private const int UsualPhysicalSectorSize = 4096; // bytes

    public required ImageKind Kind { get; init; }

    /// <summary>Bytes of virtual disk, a multiple of the logical sector.</summary>
    public required long Size { get; init; }

    /// <summary>Bytes in a block: a power of two of 1 to 256 MiB.</summary>
    public required uint BlockSize { get; init; }

    /// <summary>Bytes: 512 or 4096.</summary>
    public int LogicalSectorSize { get; init; } = UsualLogicalSectorSize;

    /// <summary>Bytes: 512 or 4096.</summary>
    public int PhysicalSectorSize { get; init; } = UsualPhysicalSectorSize;

    /// <summary>Bytes, a multiple of 1 MiB.</summary>
    public long LogLength { get; init; } = VhdxLayout.OneMiB;

    /// <summary>The disk's SCSI identity; a child has its parent's.</summary>
    public required Guid VirtualDiskId { get; init; }

    /// <summary>What a child will name this image by.</summary>
    public required Guid DataWriteGuid { get; init; }

    public required Guid FileWriteGuid { get; init; }

    /// <summary>The parent locator's keys and values, for a differencing image; empty otherwise.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> ParentLocator { get; init; } = [];

    /// <summary>What a differencing image has from its parent and nobody here knows.</summary>
    public IReadOnlyList<VhdxDiskItem> DiskItems { get; init; } = [];

    /// <summary>Writes the blocks of a fixed disk out instead of leaving them to the file system.</summary>
    public bool Preallocate { get; init; }

    /// <summary>What options come to that leave out what is usual. Identifiers are not among them.</summary>
    /// <param name="options">What was asked for.</param>
    /// <param name="size">Bytes of virtual disk, rounded up here to whole sectors.</param>
    /// <param name="parentLogicalSectorSize">Bytes; null without a parent.</param>
    /// <param name="parentPhysicalSectorSize">Bytes; null without a parent.</param>
    public static VhdxCreateParameters From(ImageCreateOptions options, long size, int? parentLogicalSectorSize = null, int? parentPhysicalSectorSize = null)
    {
        var sectorSize = options.LogicalSectorSize ?? parentLogicalSectorSize ?? UsualLogicalSectorSize;
        return new VhdxCreateParameters
        {
            Kind = options.Kind,
            Size = sectorSize is 512 or 4096 && (ulong)size <= VhdxLayout.MaxDiskSize ? Alignment.Up(size, sectorSize) : size, // others are refused as they are
            BlockSize = (uint)(options.BlockSize ?? VhdxCreator.UsualBlockSize(options.Kind)),
            LogicalSectorSize = sectorSize,
            PhysicalSectorSize = options.PhysicalSectorSize ?? parentPhysicalSectorSize ?? UsualPhysicalSectorSize,
            LogLength = options.LogSize ?? VhdxLayout.OneMiB,
            Preallocate = options.Preallocate,
            VirtualDiskId = default,
            DataWriteGuid = default,
            FileWriteGuid = default,
        };
    }
}
