using VhdCore.Disks;
using VhdCore.Formats;

namespace VhdService.Guest.Nested;

/// <summary>What a disk of a guest is made of.</summary>
public enum DiskKind
{
    FixedVhd,
    DynamicVhd,
    DifferencingVhdx,
    DynamicVhdx,
}

/// <summary>A disk of a guest, and what it holds before the guest runs: a partition from 32 MiB on, and a pattern at 1 MiB.</summary>
/// <param name="Kind">What it is made of.</param>
/// <param name="Is4Kn">Shown to the guest with sectors of 4096 bytes; otherwise with 512, 4096 physically.</param>
public sealed record NestedDisk(DiskKind Kind, bool Is4Kn)
{
    public const long Length = 96L << 20;
    public const long PartitionStart = 32L << 20;
    public const int PatternLength = 1 << 20;

    private int SectorSize => Is4Kn ? 4096 : 512;

    private string Name => $"{Kind.ToString().ToLowerInvariant()}-{(Is4Kn ? "4kn" : "512e")}";

    /// <summary>The image's name among a guest's.</summary>
    public string File(string guest) => $"{guest}-{Name}.{(Kind is DiskKind.FixedVhd or DiskKind.DynamicVhd ? "vhd" : "vhdx")}";

    /// <summary>The name of the image that it is a child of, if it is one.</summary>
    public string? Parent(string guest) => Kind == DiskKind.DifferencingVhdx ? $"{guest}-{Name}-parent.vhdx" : null;

    /// <summary>How the monitor shows it.</summary>
    public string Argument(string guest) => $"--disk /data/{File(guest)},sectors={(Is4Kn ? "4kn" : "512e")}";

    /// <summary>Makes the image, and its parent if it has one.</summary>
    public async Task CreateAsync(string folder, string guest, byte[] pattern)
    {
        var isVhdx = Kind is DiskKind.DifferencingVhdx or DiskKind.DynamicVhdx;
        var options = new ImageCreateOptions
        {
            Format = isVhdx ? ImageFormat.Vhdx : ImageFormat.Vhd,
            Kind = Kind == DiskKind.FixedVhd ? ImageKind.Fixed : ImageKind.Dynamic,
            Size = Length,
            BlockSize = isVhdx ? 1 << 20 : null,
            LogicalSectorSize = isVhdx ? SectorSize : null,
        };
        var parent = Parent(guest);
        var first = Path.Combine(folder, parent ?? File(guest));
        await using (var disk = await VirtualDisk.CreateAsync(first, options))
        {
            await disk.WriteAsync(0, PartitionTable());
            await disk.WriteAsync(1 << 20, pattern);
        }

        if (parent is not null)
        {
            var child = new ImageCreateOptions { Format = ImageFormat.Vhdx, Kind = ImageKind.Differencing, Parent = first, BlockSize = 1 << 20 };
            await using var disk = await VirtualDisk.CreateAsync(Path.Combine(folder, File(guest)), child);
        }
    }

    // One primary Linux partition, counted in the guest's sectors.
    private byte[] PartitionTable()
    {
        var sector = new byte[4096];
        var entry = sector.AsSpan(446);
        entry[4] = 0x83;
        BitConverter.TryWriteBytes(entry[8..], (uint)(PartitionStart / SectorSize));
        BitConverter.TryWriteBytes(entry[12..], (uint)((Length - PartitionStart) / SectorSize));
        sector[510] = 0x55;
        sector[511] = 0xAA;
        return sector;
    }
}
