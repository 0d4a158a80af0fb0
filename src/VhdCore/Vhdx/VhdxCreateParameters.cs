using VhdCore.Formats;

namespace VhdCore.Vhdx;

/// <summary>What to create. All values are judged by <see cref="VhdxCreator"/>.</summary>
internal sealed record VhdxCreateParameters
{
    public required ImageKind Kind { get; init; }

    /// <summary>Bytes of virtual disk, a multiple of the logical sector.</summary>
    public required long Size { get; init; }

    /// <summary>Bytes in a block: a power of two of 1 to 256 MiB.</summary>
    public required uint BlockSize { get; init; }

    /// <summary>Bytes: 512 or 4096.</summary>
    public int LogicalSectorSize { get; init; } = 512;

    /// <summary>Bytes: 512 or 4096.</summary>
    public int PhysicalSectorSize { get; init; } = 4096;

    /// <summary>Bytes, a multiple of 1 MiB.</summary>
    public uint LogLength { get; init; } = VhdxLayout.OneMiB;

    /// <summary>The disk's SCSI identity; a child has its parent's.</summary>
    public required Guid VirtualDiskId { get; init; }

    /// <summary>What a child will name this image by.</summary>
    public required Guid DataWriteGuid { get; init; }

    public required Guid FileWriteGuid { get; init; }

    /// <summary>The parent locator's keys and values, for a differencing image; empty otherwise.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> ParentLocator { get; init; } = [];

    /// <summary>Writes the blocks of a fixed disk out instead of leaving them to the file system.</summary>
    public bool Preallocate { get; init; }
}
