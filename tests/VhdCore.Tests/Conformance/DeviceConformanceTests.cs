using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Conformance;
using VhdCore.Testing.Faults;
using VhdCore.Tests.Vhdx;

namespace VhdCore.Tests.Conformance;

/// <summary>A raw image.</summary>
public class RawDeviceConformance : ImageConformance
{
    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Raw, Kind = ImageKind.Fixed };
}

/// <summary>A fixed VHD.</summary>
public class FixedVhdConformance : ImageConformance
{
    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhd, Kind = ImageKind.Fixed };
}

/// <summary>A dynamic VHD of the usual block size.</summary>
public class DynamicVhdConformance : ImageConformance
{
    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhd };
}

/// <summary>A dynamic VHD of many small blocks.</summary>
public class SmallBlockVhdConformance : ImageConformance
{
    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhd, BlockSize = 4096 };
}

/// <summary>A differencing VHD over a dynamic one over a shorter raw one.</summary>
public class DifferencingVhdConformance : ImageConformance
{
    protected override int Depth => 3;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhd, BlockSize = 16384 };
}

/// <summary>A dynamic VHD on a medium that never has anything at hand, cannot punch holes, and completes in any order.</summary>
public class SlowMediumConformance : ImageConformance
{
    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhd, BlockSize = 8192 };

    protected override IStorageResolver CreateResolver() => new FaultResolver(
        new MemoryStorageResolver { CanPunch = false, ReadsAtOnce = false },
        new FaultPlan(7) { DelayProbability = 0.2, PieceSize = 512, ShortReadProbability = 0.5 });
}

/// <summary>A fixed VHDX.</summary>
public class FixedVhdxConformance : ImageConformance
{
    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhdx, Kind = ImageKind.Fixed, BlockSize = 1 << 20 };
}

/// <summary>A dynamic VHDX of the usual block size, which the disk does not fill.</summary>
public class DynamicVhdxConformance : ImageConformance
{
    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhdx };
}

/// <summary>A dynamic VHDX of the smallest blocks.</summary>
public class SmallBlockVhdxConformance : ImageConformance
{
    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhdx, BlockSize = 1 << 20 };
}

/// <summary>A chain of VHDX as deep as chains usually get.</summary>
public class DifferencingVhdxConformance : ImageConformance
{
    protected override int Depth => 8;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhdx, BlockSize = 1 << 20 };
}

/// <summary>A differencing VHDX on a medium that never has anything at hand, cannot punch holes, and completes in any order.</summary>
public class SlowMediumVhdxConformance : ImageConformance
{
    protected override int Depth => 2;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhdx, BlockSize = 1 << 20 };

    protected override IStorageResolver CreateResolver() => new FaultResolver(
        new MemoryStorageResolver { CanPunch = false, ReadsAtOnce = false },
        new FaultPlan(7) { DelayProbability = 0.2, PieceSize = 4096, ShortReadProbability = 0.5 });
}

/// <summary>A dynamic VHDX with logical sectors of 4096 bytes.</summary>
public class LargeSectorVhdxConformance : LargeSectorConformance
{
    protected override int Depth => 1;
}

/// <summary>A differencing VHDX over another, both with logical sectors of 4096 bytes: whatever is smaller is merged with what lies below.</summary>
public class LargeSectorDifferencingVhdxConformance : LargeSectorConformance
{
    protected override int Depth => 2;
}

/// <summary>Images whose sectors are larger than what the suite takes for one.</summary>
public abstract class LargeSectorConformance : BlockDeviceConformance
{
    private const int SectorSize = 4096;

    /// <summary>Images in the chain.</summary>
    protected abstract int Depth { get; }

    protected override async ValueTask<IBlockDevice> CreateDeviceAsync(long length)
    {
        var resolver = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(resolver, "/0.vhdx", new VhdxFile { Size = Alignment.Up(length, SectorSize), SectorSize = SectorSize });
        for (var depth = 1; depth < Depth; depth++)
        {
            await VhdxFiles.CreateAsync(
                resolver, $"/{depth}.vhdx", new VhdxFile { Kind = ImageKind.Differencing, Size = Alignment.Up(length, SectorSize), SectorSize = SectorSize, Parent = $"/{depth - 1}.vhdx" });
        }

        var disk = await VirtualDisk.OpenAsync($"/{Depth - 1}.vhdx", new ImageOpenOptions { Writable = true }, resolver);
        Assert.Equal(SectorSize, disk.Device.Info.LogicalSectorSize);
        return new ShortenedDevice(disk.Device, length); // the suite's disks end in the middle of a sector of 4096 bytes
    }
}

/// <summary>Images as devices.</summary>
public abstract class ImageConformance : BlockDeviceConformance
{
    /// <summary>Images in the chain.</summary>
    protected virtual int Depth => 1;

    /// <summary>How each is created.</summary>
    protected abstract ImageCreateOptions Options { get; }

    protected virtual IStorageResolver CreateResolver() => new MemoryStorageResolver();

    protected override async ValueTask<IBlockDevice> CreateDeviceAsync(long length) => (await CreateAsync(CreateResolver(), length)).Device;

    protected override async ValueTask<IBlockDevice?> CreateReadOnlyDeviceAsync(long length)
    {
        var resolver = CreateResolver();
        var disk = await CreateAsync(resolver, length);
        await disk.DisposeAsync();
        return (await VirtualDisk.OpenAsync($"/{Depth - 1}.img", new ImageOpenOptions { Format = Options.Format }, resolver)).Device;
    }

    private async ValueTask<VirtualDisk> CreateAsync(IStorageResolver resolver, long length)
    {
        var disk = await VirtualDisk.CreateAsync("/0.img", Options with { Size = length }, resolver);
        for (var depth = 1; depth < Depth; depth++)
        {
            await disk.DisposeAsync();
            disk = await VirtualDisk.CreateAsync($"/{depth}.img", Options with { Kind = ImageKind.Differencing, Parent = $"/{depth - 1}.img" }, resolver);
        }

        return disk;
    }
}
